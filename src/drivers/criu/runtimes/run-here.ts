import path from 'node:path';
import { godwitError } from '../../../errors.ts';
import { removeTree } from '../../../system/files/remove-tree.ts';
import { giveGpus } from '../gpu/gpu-state.ts';
import type { HostContext } from '../host/host-context.ts';
import { setPorts } from '../host/network.ts';
import { processesIn, setFrozen } from '../host/processes.ts';
import { endRepair } from '../host/tcp-repair.ts';
import { imageMs } from './runc.ts';
import { findWorker, sessionEnded } from '../session.ts';
import type { EventReplay } from '../watch.ts';

type Dependencies = Pick<HostContext, 'host' | 'runc' | 'records' | 'gpus'>;

/**
 * Waits for the end of a dump: CRIU continues without runc and its parent, and freezes the container again at
 * its end. Rejects if it does not end.
 */
export async function dumpEnded(
  { host, records }: Pick<Dependencies, 'host' | 'records'>,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const record = records.readSync(name);
  if (record === undefined) return;
  const worker = record.worker ?? findWorker(path.join(records.dirOf(name), 'out', 'images'));
  if (worker === undefined) return;
  // A frozen container can wait, but it may die with a CRIU that is killed during its dump.
  const mostMs = imageMs(record.memoryBytes);
  if (await sessionEnded(worker, mostMs, signal, mostMs)) return;
  const reason = `the dump of ${name} does not end`;
  throw godwitError('GODWIT_HYPERVISOR', { hypervisor: 'criu', host, command: 'dump', reason });
}

/** Removes the outgoing files of a container that stays; a dead mover may have left them. A failure does no harm. */
export async function removeOut(
  { records }: Pick<Dependencies, 'records'>,
  name: string,
): Promise<void> {
  await removeTree(path.join(records.dirOf(name), 'out')).catch(() => undefined);
}

/**
 * After the end of any dump, restores a container's ports, thaws it and restores its GPU state. If a port or GPU
 * state cannot be restored, the container runs anyway and the error is reported.
 */
export async function runHere(
  deps: Dependencies,
  name: string,
  { ports, cgroup }: { readonly ports: readonly string[]; readonly cgroup: string },
  reported: EventReplay,
  signal: AbortSignal,
): Promise<void> {
  const { runc, records } = deps;
  await dumpEnded(deps, name, signal);
  // Before its ports are up: a connection in repair mode is lost with the first read or write. Without koffi
  // nothing can be done, and the container runs here anyway.
  await endRepair(await processesIn(cgroup)).catch(() => undefined);
  const plugged = await Promise.allSettled(
    ports.map((port) => setPorts(runc.run.bind(runc), [port], 'up')),
  );
  await setFrozen(cgroup, false, signal);
  const unplugged = plugged.find((each) => each.status === 'rejected');
  const [taken] = await Promise.allSettled([giveGpus(deps, name, cgroup, signal)]);
  await records.change(name, {
    // A retry restores its GPUs first.
    leaving: taken.status === 'rejected' ? 'sending' : undefined,
    worker: undefined,
    ...(unplugged === undefined ? { unplugged: undefined } : {}),
  });
  if (taken.status === 'fulfilled') await removeOut(deps, name);
  reported.ran('resumed');
  if (unplugged !== undefined) throw unplugged.reason;
  if (taken.status === 'rejected') throw taken.reason;
}
