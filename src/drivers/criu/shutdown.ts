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
 * A cold move at its source: the container's first process is asked to end, and its files are sent once it has. Until it is
 * retired runc knows it as stopped, and it can be started again by its own bundle.
 */

const POLL_MS = 100;
/** What the destination does beside its files. */
const REST_MS = 60_000;

const annotated = z.looseObject({ annotations: z.record(z.string(), z.unknown()).optional() });

/** The signal that its image names for this, as podman and containerd write it down; else SIGTERM. Pure. */
export function stopSignal(config: string): string {
  const parsed = annotated.safeParse(jsonOf(config));
  const named = parsed.data?.annotations?.['org.opencontainers.image.stopSignal'];
  return typeof named === 'string' && /^(SIG)?[A-Z0-9+]{2,10}$/.test(named) ? named : 'SIGTERM';
}

type ShutDownDependencies = Pick<HostContext, 'records' | 'mountsOf' | 'volumeDirs'> & {
  readonly runc: Pick<HostContext['runc'], 'kill' | 'run'>;
};

/** What is shut down: the container, and its first process. */
export interface Going {
  readonly handle: CriuHandle;
  readonly listed: RuncState;
  readonly init: BootProcess;
}

/** Asks it to end, and waits until it has. */
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
    // Before it ends: whoever watches over it may unmount its root then, and an empty directory would be sent.
    const { upper } = await rootOf(listed.rootfs, mountsOf);
    const { bundle } = listed;
    const down = { init: { ...init, bootId: bootId() }, bundle, upper };
    const volumes = await volumesHere(context, config, signal);
    await records.write(name, { ...before, token, mover, memoryBytes, down, volumes });
  }
  // Also where a mover died between the record and the signal.
  if (lifeOf(init).state !== 'gone') {
    await runc.kill(name, stopSignal(config));
  }
  while (lifeOf(init).state !== 'gone') await systemClock.sleep(POLL_MS, signal);
}

/** Whether it runs again although it was shut down here: podman and systemd can start a container that has ended. */
export async function isUpAgain(
  { runc }: Pick<HostContext, 'runc'>,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  return (await runc.state(name, signal))?.status === 'running';
}

/** Starts it again by its bundle where it ends within that time, or has; one that does not end is let alone. */
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
  // A first try may have come as far as this.
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

/** Sends what it has written above its image; resolves once the destination has unpacked all of it. */
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
    // Before the destination may run it: who takes down what is left here has to know what stays.
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
