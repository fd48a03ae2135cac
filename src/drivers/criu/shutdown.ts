import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { systemClock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import { lifeOf, type BootProcess } from '../../system/processes/life.ts';
import { bootId, ownIdentity } from '../../system/processes/process.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import { defined } from '../../protocol/defined.ts';
import type { StreamSetup } from '../../port/direct.ts';
import { freshDirectory } from './dispatch.ts';
import { KINDS } from './link/frames.ts';
import type { CriuHandle } from './handle.ts';
import type { HostContext } from './host/host-context.ts';
import { connectTo } from './link/link.ts';
import { identify } from './host/processes.ts';
import { bytesInTime } from './files/file-limits.ts';
import { rootOf } from './files/rootfs.ts';
import { removeOut } from './runtimes/run-here.ts';
import type { RuncState } from './runtimes/runc.ts';
import { volumesHere } from './files/volumes.ts';
import { PageSender } from './link/sender.ts';
import { withShared, writeOut } from './files/shared-volumes.ts';
import { TreeSender, treesOf } from './files/trees.ts';
import { jsonOf } from '../../formats/json.ts';

/**
 * Cold move at its source: the container's first process is asked to end, and its files are sent after that.
 * Until it is removed, runc lists it as stopped and it can be restarted from its bundle.
 */

const POLL_MS = 100;
/** Time for the destination's work besides files. */
const REST_MS = 60_000;

const annotated = z.looseObject({ annotations: z.record(z.string(), z.unknown()).optional() });

/** Stop signal from the image's annotation, as podman and containerd write it; default SIGTERM. Pure. */
export function stopSignal(config: string): string {
  const parsed = annotated.safeParse(jsonOf(config));
  const named = parsed.data?.annotations?.['org.opencontainers.image.stopSignal'];
  return typeof named === 'string' && /^(SIG)?[A-Z0-9+]{2,10}$/.test(named) ? named : 'SIGTERM';
}

type ShutDownDependencies = Pick<HostContext, 'records' | 'mountsOf' | 'volumeDirs'> & {
  readonly runc: Pick<HostContext['runc'], 'kill' | 'run'>;
};

export interface Going {
  readonly handle: CriuHandle;
  readonly listed: RuncState;
  readonly init: BootProcess;
}

export async function shutDown(
  context: ShutDownDependencies,
  { handle, listed, init }: Going,
  signal: AbortSignal,
): Promise<void> {
  const { runc, records, mountsOf } = context;
  const { name, memoryBytes } = handle;
  const before = records.readSync(name);
  const config = await readFile(path.join(listed.bundle, 'config.json'), 'utf8').catch(() => '');
  if (before?.down === undefined) {
    const mover = { ...ownIdentity(), bootId: bootId() };
    const token = before?.token ?? randomBytes(8).toString('hex');
    // Read before its end: a manager may then unmount its root, and an empty directory would be sent.
    const { upper } = await rootOf(listed.rootfs, mountsOf);
    const { bundle } = listed;
    const down = { init: { ...init, bootId: bootId() }, bundle, upper };
    const volumes = await volumesHere(context, config, signal);
    await records.write(name, { ...before, token, mover, memoryBytes, down, volumes });
  }
  // Repeated if a mover died between the record and the signal.
  if (lifeOf(init).state !== 'gone') {
    await runc.kill(name, stopSignal(config));
  }
  while (lifeOf(init).state !== 'gone') await systemClock.sleep(POLL_MS, signal);
}

/** True if it runs again after it was shut down here: podman and systemd can restart an ended container. */
export async function isUpAgain(
  { runc }: Pick<HostContext, 'runc'>,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  return (await runc.state(name, signal))?.status === 'running';
}

/** Restarts it from its bundle if it has ended or ends within that time; otherwise it is left alone. */
export async function startAgain(
  { runc, records }: HostContext,
  { handle, listed, init }: Going,
  withinMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { name } = handle;
  const before = records.readSync(name);
  if (before?.down === undefined) return;
  await removeOut({ records }, name);
  const until = systemClock.monotonicMs() + withinMs;
  while (lifeOf(init).state !== 'gone' && systemClock.monotonicMs() < until) {
    await systemClock.sleep(POLL_MS, signal);
  }
  if (lifeOf(init).state !== 'gone') return records.change(name, { down: undefined });
  if (!(await isUpAgain({ runc }, name, signal))) {
    await runc.remove(name);
    await runc.start(name, before.down.bundle);
  }
  const pid = (await runc.state(name, signal))?.pid ?? listed.pid;
  const again = identify(pid);
  const was = before.was ?? before.down.init;
  await records.change(name, {
    down: undefined,
    was,
    ...defined({ init: again }),
  });
}

/** Sends its files above the image; resolves once the destination has unpacked them. */
export async function sendFiles(
  context: HostContext,
  { handle, listed }: Going,
  { setup, address, tlsHostname }: Target,
  signal: AbortSignal,
): Promise<void> {
  const { name } = handle;
  const directory = path.join(context.records.dirOf(name), 'out');
  await mkdir(context.records.dirOf(name), { recursive: true, mode: 0o700 });
  await freshDirectory(directory);
  const stream = await connectTo(address, tlsHostname, setup, signal);
  const sender = new PageSender(stream, setup.compress === 'zstd');
  sender.bytesPerS = setup.maxBandwidth;
  const onAbort = (): void => sender.close();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await sender.send(KINDS.hello, { version: 1, guest: name, cold: true });
    await sender.heard(KINDS.ready, signal);
    const upper = context.records.readSync(name)?.down?.upper ?? listed.rootfs;
    const rootBytes = await bytesInTime(context, upper, signal);
    const volumes = withShared(context.records.readSync(name)?.volumes ?? [], setup.shared);
    // Recorded before the destination may run it, so that a later removal here spares shared volumes.
    await context.records.change(name, { volumes });
    const trees = treesOf({ upper }, volumes, rootBytes);
    const sending = new TreeSender({ runc: context.runc, sender, directory, signal }, trees);
    await sending.last();
    await writeOut(context, volumes, signal);
    const taken = sender.heard(KINDS.restored, signal, REST_MS + sending.unpackMs);
    taken.catch(() => {});
    await sender.send(KINDS.done);
    await taken;
    if (await isUpAgain(context, name, signal)) throw startedAgain(context.host, name);
  } finally {
    signal.removeEventListener('abort', onAbort);
    sender.close();
    await removeTree(directory).catch(() => undefined);
  }
}

function startedAgain(host: string, name: string): Error {
  const reason = `${name} was started again by another program while it was being moved`;
  const facts = { hypervisor: 'runc', host, command: 'kill', reason };
  const hint = `Keep what starts ${name} again (a restart policy of podman, a unit of systemd) from doing so, and move it again.`;
  return godwitError('GODWIT_HYPERVISOR', facts, { hint });
}

interface Target {
  readonly setup: StreamSetup;
  readonly address: string;
  readonly tlsHostname: string | undefined;
}
