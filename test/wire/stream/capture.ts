import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { Monitor } from '../../../lab/witness/monitor.ts';
import { compareVersions } from '../../../src/drivers/qemu/programs/version.ts';
import { bootTinyGuest, tinyMemoryMib } from '../../drivers/qemu/tiny-guest.ts';
import { untilSo } from '../../until.ts';

/** Real streams: a guest of a few megabytes is migrated through sockets that keep what passes. */
const PLAN = { keptMib: 12, dirtyMib: 6 };
const MIGRATE_MS = 60_000;

/** One connection that the source opened, by what was read from its socket at a time. */
export interface Connection {
  readonly forward: Buffer[];
  readonly back: Buffer[];
}

export interface Capture {
  readonly connections: readonly Connection[];
  /** The source's own account when it is done. */
  readonly ram: Readonly<Record<string, number>>;
  readonly xbzrle: Readonly<Record<string, number>>;
}

export interface CapturePlan {
  readonly binary: string;
  readonly directory: string;
  readonly capabilities?: readonly string[];
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Migrate to a second QEMU behind the relay; without it, nobody answers. */
  readonly destination?: string;
  readonly postcopy?: boolean;
  /** Cut the connection in post-copy and recover on a new one, which is recorded too. */
  readonly recover?: boolean;
  /** The guest's memory is a file that others could share. */
  readonly sharedMemory?: boolean;
  /** `MACHINE` where it is not said. */
  readonly machine?: string;
  readonly extra?: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * Why preempt is not tried with this QEMU, or false. Before 8.0 a source that goes back from preempt's connection to the
 * main one where an iteration ends takes the block of preempt's last page for the block of the main one's last page
 * (`postcopy_preempt_reset_channel` leaves `last_sent_block` as it is; the next version keeps one for each
 * connection). It then leaves the name out, and the destination pauses with "Illegal RAM offset" or, where that block is
 * large enough, would have the page in the wrong place. Seen once in some thousand moves on a busy host.
 */
export function whyNoPreempt(version: string): string | false {
  if (compareVersions(version, '8.0') >= 0) return false;
  return `QEMU ${version} may leave out the name of a page's block after a page on preempt's connection`;
}

/** One that every QEMU has. */
export const MACHINE = 'pc-q35-7.2';

/** Migrates once and ends every process that it started, whatever comes. */
export async function capture(plan: CapturePlan): Promise<Capture> {
  const { directory, binary, signal, extra = [] } = plan;
  await mkdir(path.join(directory, 'source'), { recursive: true });
  const kernel = path.join(directory, 'kernel');
  const ends: (() => void)[] = [];
  try {
    const guest = await bootTinyGuest({
      binary,
      name: 'captured',
      directory: path.join(directory, 'source'),
      kernel,
      plan: PLAN,
      machine: plan.machine ?? MACHINE,
      extra: plan.sharedMemory === true ? [...extra, ...sharedMemory(directory)] : extra,
    });
    ends.push(() => guest.end());
    const source = await Monitor.open(guest.monitor, signal);
    ends.push(() => source.close());
    const target = plan.destination === undefined ? undefined : await receive(plan, kernel, ends);
    const recorder = await record(path.join(directory, 'relay.sock'), target?.socket);
    ends.push(() => recorder.close());
    await configure(source, plan);
    await source.execute('migrate', { uri: `unix:${recorder.path}` });
    if (plan.postcopy === true) {
      await status(source, 'active', signal);
      await source.execute('migrate-start-postcopy');
    }
    const again: Connection[] = [];
    if (plan.recover === true && target !== undefined) {
      await status(source, 'postcopy-active', signal);
      await asked(recorder.connections[0]);
      recorder.close();
      again.push(...(await recover(source, target.monitor, plan, ends)));
    }
    await status(source, 'completed', signal);
    if (target !== undefined) await status(target.monitor, 'completed', signal);
    const reported = (await source.execute('query-migrate')) as Record<
      string,
      Record<string, number>
    >;
    await recorder.ended();
    return {
      connections: [...recorder.connections, ...again],
      ram: reported['ram'] ?? {},
      xbzrle: reported['xbzrle-cache'] ?? {},
    };
  } finally {
    for (const end of ends.toReversed()) end();
  }
}

function sharedMemory(directory: string): string[] {
  const file = path.join(directory, 'memory');
  const backend = `memory-backend-file,id=shared,size=${tinyMemoryMib(PLAN)}M,mem-path=${file},share=on`;
  return ['-object', backend, '-machine', 'memory-backend=shared'];
}

export async function receive(plan: CapturePlan, kernel: string, ends: (() => void)[]) {
  const directory = path.join(plan.directory, 'destination');
  await mkdir(directory, { recursive: true });
  const monitorPath = path.join(directory, 'qmp.sock');
  const words = `-name guest=captured -machine ${plan.machine ?? MACHINE} -accel tcg -cpu max -nodefaults -display none`;
  const serial = `file:${path.join(directory, 'serial.log')}`;
  const qmp = `unix:${monitorPath},server=on,wait=off`;
  const memory = `${tinyMemoryMib(PLAN)}`;
  const own = ['-kernel', kernel, '-serial', serial, '-m', memory, '-qmp', qmp];
  const argv = [...words.split(' '), ...own, '-incoming', 'defer', ...(plan.extra ?? [])];
  const child: ChildProcess = spawn(plan.destination ?? plan.binary, argv, {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  ends.push(() => child.kill('SIGKILL'));
  const monitor = await Monitor.open(monitorPath, plan.signal);
  ends.push(() => monitor.close());
  await configure(monitor, plan);
  const socket = path.join(directory, 'incoming.sock');
  await monitor.execute('migrate-incoming', { uri: `unix:${socket}` });
  return { monitor, socket };
}

/** The destination runs the guest and has asked for pages: more was said than the four PONGs before that. */
async function asked(connection: Connection | undefined): Promise<void> {
  const bytes = (): number =>
    connection?.back.reduce((sum, { length }) => sum + length, 0) ?? Number.NaN;
  await untilSo(() => bytes() >= 100);
}

/** Both sides notice the cut; the stream goes on over a new connection. */
async function recover(
  source: Monitor,
  destination: Monitor,
  plan: CapturePlan,
  ends: (() => void)[],
): Promise<readonly Connection[]> {
  await status(source, 'postcopy-paused', plan.signal);
  await status(destination, 'postcopy-paused', plan.signal);
  const socket = path.join(plan.directory, 'destination', 'again.sock');
  await destination.execute('migrate-recover', { uri: `unix:${socket}` });
  const recorder = await record(path.join(plan.directory, 'again.sock'), socket);
  ends.push(() => recorder.close());
  await source.execute('migrate', { uri: `unix:${recorder.path}`, resume: true });
  await status(source, 'completed', plan.signal);
  await recorder.ended();
  return recorder.connections;
}

export async function configure(monitor: Monitor, plan: CapturePlan): Promise<void> {
  const capabilities = ['events', ...(plan.capabilities ?? [])].map((capability) => ({
    capability,
    state: true,
  }));
  await monitor.execute('migrate-set-capabilities', { capabilities });
  await monitor.execute('migrate-set-parameters', {
    'downtime-limit': 100,
    ...plan.parameters,
  });
}

export async function status(monitor: Monitor, wanted: string, signal: AbortSignal): Promise<void> {
  const event = await monitor.until(
    `the migration's ${wanted}`,
    ({ event: name, data }) =>
      name === 'MIGRATION' && [wanted, 'failed', 'completed'].includes(String(data['status'])),
    MIGRATE_MS,
    signal,
  );
  const got = event.data['status'];
  if (got !== wanted && got === 'failed') throw new Error('QEMU says that the migration failed');
}

interface Recorder {
  readonly path: string;
  readonly connections: readonly Connection[];
  /** Every connection has been ended by the source. */
  ended(): Promise<void>;
  close(): void;
}

/** Listens as a destination; hands everything on where there is one. */
async function record(socketPath: string, target: string | undefined): Promise<Recorder> {
  const connections: Connection[] = [];
  const sockets: net.Socket[] = [];
  let open = 0;
  const server = net.createServer({ allowHalfOpen: true }, (near) => {
    const connection: Connection = { forward: [], back: [] };
    connections.push(connection);
    sockets.push(near);
    open += 1;
    near.on('error', () => {});
    near.on('data', (chunk: Buffer) => connection.forward.push(chunk));
    let ended = false;
    const end = (): void => {
      if (!ended) open -= 1;
      ended = true;
    };
    near.on('end', end).on('close', end);
    if (target === undefined) return;
    const far = net.connect({ path: target, allowHalfOpen: true });
    sockets.push(far);
    far.on('error', () => {});
    far.on('data', (chunk: Buffer) => connection.back.push(chunk));
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    path: socketPath,
    connections,
    ended: async () => {
      await untilSo(() => open === 0);
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
