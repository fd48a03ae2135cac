import path from 'node:path';
import { kill } from '../../system/processes/process.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import { removeCgroup } from './host/cgroup.ts';
import { ownVolumes, putAside, removeVolumes } from './files/made-volumes.ts';
import { unmountBelow } from './files/mounts.ts';
import { removeNetwork } from './host/network.ts';
import type { HostContext } from './host/host-context.ts';
import { processesIn, setFrozen } from './host/processes.ts';
import type { ContainerRecord } from './link/records.ts';

const LEFT_MS = 15_000;

/** Removes a Godwit directory after all mounts in it are gone; rejects without deleting anything if one stays. */
export async function removeDirectory(
  { runc, mountsOf }: HostContext,
  directory: string,
): Promise<void> {
  await unmountBelow({ mountsOf, run: (argv) => runc.run(argv) }, directory);
  if (mountsOf !== undefined) {
    // A process started in a separate mount namespace since has these mounts too, and they keep the directory
    // busy.
    const own = { run: (argv: readonly string[]) => runc.run(argv, { mountsOf: undefined }) };
    await unmountBelow(own, directory);
  }
  await removeTree(directory);
}

/** Can be repeated. Foreign objects stay: an adopted container's bundle and network namespace. */
export async function removeLeft(
  context: HostContext,
  name: string,
  record: ContainerRecord | undefined,
): Promise<void> {
  const { runc, records, prefix } = context;
  if (record?.made?.cgroup !== undefined) {
    await removeCgroup(prefix, record.made.cgroup, AbortSignal.timeout(LEFT_MS));
  }
  if (record?.made !== undefined) {
    const parts = await Promise.allSettled([
      removeNetwork(runc.run.bind(runc), record.made),
      removeVolumes(context, ownVolumes(record) ?? {}),
    ]);
    // The record is removed last, because a retry needs it.
    const failed = parts.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
  await removeDirectory(context, path.join(records.directory, name));
}

/**
 * Takes down a container that may have run here and has ended, but for its files. They stay with their record, which keeps
 * other containers off them (`whyNameInUse`). Repeatable.
 */
export async function endLeft(
  { runc, prefix }: HostContext,
  record: ContainerRecord | undefined,
): Promise<void> {
  if (record?.made === undefined) return;
  if (record.made.cgroup !== undefined) {
    await removeCgroup(prefix, record.made.cgroup, AbortSignal.timeout(LEFT_MS));
  }
  await removeNetwork(runc.run.bind(runc), record.made);
}

/** Of one that has moved away. */
export async function removeMoved(context: HostContext, name: string): Promise<void> {
  const record = context.records.readSync(name);
  await putAside(record);
  await removeLeft(context, name, record);
}

/**
 * Takes down a container that may have moved away, if nothing proves that another host has its files. The files keep their
 * names, and a brought container keeps its record, as in `endLeft`. Only the unsent files go. Repeatable.
 */
export async function keepMoved(context: HostContext, name: string): Promise<void> {
  const { records } = context;
  const record = records.readSync(name);
  // Godwit's directory then contains no file of the container.
  if (record?.made === undefined) return removeLeft(context, name, record);
  await removeDirectory(context, path.join(records.dirOf(name), 'out'));
  await endLeft(context, record);
  await records.change(name, { leaving: undefined, down: undefined, gpu: undefined });
}

/** Kills a frozen container without running it again. */
export async function endFrozen(cgroup: string, signal: AbortSignal): Promise<void> {
  // A frozen process takes the signal before it runs anything after the thaw.
  for (const pid of await processesIn(cgroup)) kill(pid);
  await setFrozen(cgroup, false, signal).catch(() => undefined);
}
