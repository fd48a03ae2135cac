import { chown, copyFile, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { withDeadline } from '../src/deadline.ts';
import { systemClock } from '../src/clock.ts';
import { runCommand } from '../lab/command.ts';
import { inHost, inLab } from '../lab/entry.ts';
import { labEnvironment } from '../lab/environment.ts';
import { removeTap } from '../lab/guest/start.ts';
import { HOST_BRIDGE } from '../lab/plan.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { startDetached } from '../lab/processes.ts';
import { labHost, storageDirectory, type Lab } from '../lab/state.ts';
import { beginCopies, endCopies, readHandDisks, type HandDisk } from './by-hand-disks.ts';
import { counterpartArgv, type Places } from './counterpart.ts';
import { witnessedQemu } from './lab.ts';
import { Monitor, type QmpEvent } from '../lab/witness/monitor.ts';
import { stream, streamTimes, type StreamTimes } from './stream-times.ts';

/**
 * What an administrator does who moves a guest with QEMU alone and knows how: the same stream as Godwit's
 * (TLS 1.3 with the same certificates, the same limits) and nothing more. The destination resumes the guest by
 * itself as soon as it has everything.
 */
export interface HandMove {
  readonly lab: Lab;
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly maxDowntimeMs: number;
  /** Of QEMU's own ways to send: what is on, and its parameters, on both sides. */
  readonly setting?: HandSetting;
  /** For how long the stream may take. */
  readonly streamMs?: number;
  /** Its disks lie on its host alone, and are copied by blockdev-mirror. */
  readonly disks?: boolean;
  readonly signal: AbortSignal;
}

/** When the source's QEMU said what, and what it sent of memory. */
export interface HandTimes extends StreamTimes {
  readonly memoryBytes: number;
  readonly events: readonly QmpEvent[];
}

/** Each that Godwit sets has a value here too, since the running QEMU may have come by Godwit. */
const CAPABILITIES = {
  events: true,
  'return-path': true,
  'pause-before-switchover': false,
  'postcopy-ram': false,
  'auto-converge': false,
  multifd: false,
  xbzrle: false,
};

export interface HandSetting {
  readonly name: string;
  readonly capabilities: readonly (keyof typeof CAPABILITIES)[];
  readonly parameters: Readonly<Record<string, string | number>>;
}

/** Away from the ports that an agent hands out. */
const PORT = 45_000;
const NBD_PORT = 45_001;
const STREAM_MS = 120_000;
const QUIT_MS = 10_000;
const LOG = 'qemu.log';
const CREDENTIALS = 'by-hand-tls';
/** As much as the link gives, bytes/s. */
const UNLIMITED = 1024 ** 4;
/** A QEMU in a prefix of its own finds its parts by these. */
const ENVIRONMENT = /^(LD_LIBRARY_PATH|QEMU_MODULE_DIR)=/;

/** Moves the guest and waits until its QEMU at the source is gone. Whatever fails rejects; nothing is tidied then. */
export async function moveByHand(move: HandMove): Promise<HandTimes> {
  const { lab, guest, signal } = move;
  const source = await witnessedQemu(lab, guest, move.from);
  const [sourceTap = ''] = source.taps;
  const here: Places = {
    dir: path.dirname(source.witness),
    tap: sourceTap,
    storage: storageDirectory(lab, move.from),
  };
  const there: Places = {
    dir: guestDirectory(move, move.to),
    tap: otherTap(guest, sourceTap),
    storage: storageDirectory(lab, move.to),
  };
  const environment = await environmentOf(source.pid);
  const argv = [...environment, ...counterpartArgv(source.argv, here, there)];
  const left = await Monitor.open(source.witness, signal);
  let right: Monitor | undefined;
  try {
    const disks = move.disks === true ? await readHandDisks(left, here, there, signal) : [];
    await startDestination(move, there, argv);
    right = await Monitor.open(path.join(there.dir, path.basename(source.witness)), signal);
    await prepare(move, left, right);
    const times = await send(move, { left, right, disks });
    await settle(right);
    await left.execute('quit').catch(() => {});
    await withDeadline('QEMU to end', QUIT_MS, signal, async (inner) => {
      while (isAlive(source)) await systemClock.sleep(10, inner);
    });
    await removeTap(lab, labHost(lab, move.from), here.tap);
    await rm(here.dir, { recursive: true, force: true });
    for (const { file } of disks) await rm(file);
    return times;
  } finally {
    left.close();
    right?.close();
  }
}

/** One that this guest does not have now, and no other one has. */
function otherTap(guest: string, now: string): string {
  const [first = '', second = ''] = [0, 1].map((each) => `hand${each}${guest}`.slice(0, 15));
  return now === first ? second : first;
}

function guestDirectory({ lab, guest }: HandMove, host: string): string {
  return path.join(labHost(lab, host).stateDir, 'guests', guest);
}

async function environmentOf(pid: number): Promise<string[]> {
  const all = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
  const kept = all.filter((entry) => ENVIRONMENT.test(entry));
  return kept.length === 0 ? [] : ['env', ...kept];
}

async function startDestination(
  { lab, to, signal }: HandMove,
  { dir, tap }: Places,
  argv: readonly string[],
): Promise<void> {
  const logs = argv.flatMap((word) => /,logfile=([^,]+)/.exec(word)?.slice(1) ?? []);
  for (const made of [dir, ...logs.map((file) => path.dirname(file))]) {
    await mkdir(made, { recursive: true, mode: 0o700 });
  }
  const { namespace } = labHost(lab, to);
  await runCommand(inLab(lab.entry, ['ip', '-n', namespace, '-batch', '-']), {
    input: `tuntap add dev ${tap} mode tap\nlink set ${tap} master ${HOST_BRIDGE} up\n`,
    signal,
  });
  await startDetached(inHost(lab, to, argv), {
    logFile: path.join(dir, LOG),
    env: labEnvironment(lab),
  });
}

/** Capabilities, limits and TLS on both ends; then the destination listens. */
async function prepare(move: HandMove, left: Monitor, right: Monitor): Promise<void> {
  for (const [monitor, host, endpoint] of [
    [left, move.from, 'client'],
    [right, move.to, 'server'],
  ] as const) {
    const on: readonly string[] = move.setting?.capabilities ?? [];
    const capabilities = Object.entries(CAPABILITIES).map(([capability, state]) => {
      const paused = capability === 'pause-before-switchover' && move.disks === true;
      return { capability, state: state || paused || on.includes(capability) };
    });
    await monitor.execute('migrate-set-capabilities', { capabilities });
    if (move.setting !== undefined) {
      await monitor.execute('migrate-set-parameters', { ...move.setting.parameters });
    }
    await monitor.execute('object-add', {
      'qom-type': 'tls-creds-x509',
      id: CREDENTIALS,
      dir: await layOutCredentials(move, host, endpoint),
      endpoint,
      'verify-peer': true,
      priority: 'NORMAL:-VERS-ALL:+VERS-TLS1.3',
    });
  }
  await left.execute('migrate-set-parameters', {
    'max-bandwidth': UNLIMITED,
    'downtime-limit': move.maxDowntimeMs,
    'tls-creds': CREDENTIALS,
    'tls-hostname': move.to,
  });
  await right.execute('migrate-set-parameters', { 'tls-creds': CREDENTIALS });
  const { address } = labHost(move.lab, move.to);
  await right.execute('migrate-incoming', { uri: `tcp:${address}:${PORT}` });
}

interface Ends {
  readonly left: Monitor;
  readonly right: Monitor;
  readonly disks: readonly HandDisk[];
}

/** Disks first, then memory; the disks' copies end while the guest is paused. */
async function send(move: HandMove, { left, right, disks }: Ends): Promise<HandTimes> {
  const { address } = labHost(move.lab, move.to);
  if (disks.length > 0) {
    const server = { host: address, port: NBD_PORT, name: move.to, credentials: CREDENTIALS };
    await beginCopies({ left, right, disks, server }, move.signal);
  }
  await left.execute('migrate', { uri: `tcp:${address}:${PORT}` });
  if (disks.length > 0) {
    const isThere = stream('pre-switchover');
    const endsOrIsThere: typeof isThere = (event) => isThere(event) || stream('failed')(event);
    await left.until('the switchover', endsOrIsThere, move.streamMs ?? STREAM_MS, move.signal);
    await endCopies({ left, right, disks }, move.signal);
    await left.execute('migrate-continue', { state: 'pre-switchover' });
  }
  const ended = await left.until(
    'the migration by hand',
    (event) => stream('completed')(event) || stream('failed')(event),
    move.streamMs ?? STREAM_MS,
    move.signal,
  );
  if (ended.data['status'] === 'failed') {
    const state = (await left.execute('query-migrate')) as { 'error-desc'?: string };
    const there = await readFile(path.join(guestDirectory(move, move.to), LOG), 'utf8');
    const reason = `${state['error-desc'] ?? 'QEMU gave no reason'}; ${move.to}: ${there.trim()}`;
    throw new Error(`the migration by hand failed: ${reason}`);
  }
  const resumed = await right.until(
    'the guest to run again',
    ({ event }) => event === 'RESUME',
    STREAM_MS,
    move.signal,
  );
  const sent = (await left.execute('query-migrate')) as { ram?: { transferred?: number } };
  return {
    ...streamTimes(left.events),
    resumedAtMs: resumed.atMs,
    memoryBytes: sent.ram?.transferred ?? 0,
    events: left.events,
  };
}

/** What only the stream needed goes, so that the next move finds the guest as any other. */
async function settle(right: Monitor): Promise<void> {
  await right.execute('migrate-set-parameters', { 'tls-creds': '' });
  await right.execute('object-del', { id: CREDENTIALS });
}

/** The host's own certificate under the names that QEMU looks for, for the user that this QEMU is. */
async function layOutCredentials(
  { lab, guest }: HandMove,
  host: string,
  endpoint: 'client' | 'server',
): Promise<string> {
  const member = labHost(lab, host);
  const dir = path.join(member.dir, CREDENTIALS, endpoint);
  const pki = path.join(member.stateDir, 'pki');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await copyFile(path.join(pki, 'ca.crt'), path.join(dir, 'ca-cert.pem'));
  await copyFile(path.join(pki, 'host.crt'), path.join(dir, `${endpoint}-cert.pem`));
  await copyFile(path.join(pki, 'host.key'), path.join(dir, `${endpoint}-key.pem`));
  const { pid } = await witnessedQemu(lab, guest, host);
  const { uid, gid } = await stat(`/proc/${pid}`);
  for (const each of [path.dirname(dir), dir, ...(await readdir(dir))]) {
    await chown(path.resolve(dir, each), uid, gid);
  }
  return dir;
}
