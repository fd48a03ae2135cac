import { open, rename, rm, stat } from 'node:fs/promises';
import { inRealDirectory } from '../../host/real-directory.ts';
import type { DiskMovePlan } from '../../migration/disk-move.ts';
import {
  discard,
  identityOf,
  keep,
  madeNames,
  makeDirectories,
  name,
  removeDirectories,
} from '../proof/made-files.ts';

/** The files of a disk's move: the new image that is made, and the old one that is left. Every call may be repeated. */

const madeOf = ({ to, id }: DiskMovePlan) => madeNames(to, id, 0);

/** An empty file under the name that the new image is to have, with the owner of the old one; what was begun before is gone. */
export async function makeNew(plan: DiskMovePlan): Promise<void> {
  const made = madeOf(plan);
  await discard(made);
  await makeDirectories(plan.directories);
  const handle = await inRealDirectory(made.temporary, (at) => open(at, 'wx', 0o600));
  try {
    const { uid, gid, mode } = await stat(plan.from);
    const own = await handle.stat();
    // Its hypervisor may run as another user than the agent.
    if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid);
    await handle.chmod(mode & 0o777);
  } finally {
    await handle.close();
  }
  await name(made);
}

export async function discardNew(plan: DiskMovePlan): Promise<void> {
  await discard(madeOf(plan));
  await removeDirectories(plan.directories);
}

export async function keepNew(plan: DiskMovePlan): Promise<void> {
  await keep(madeOf(plan));
}

/**
 * The old image is nobody's disk any more: renamed first, so that nobody takes it for that, and removed where it is not
 * kept. A file of its name that is another one is left alone. Resolves to where it is kept.
 */
export async function giveUpOld(plan: DiskMovePlan, isKept: boolean): Promise<string | undefined> {
  const aside = `${plan.from}.moved-${plan.id}`;
  if ((await identityOf(plan.from)) === plan.identity) await rename(plan.from, aside);
  if ((await identityOf(aside)) !== plan.identity) return undefined;
  if (isKept) return aside;
  await rm(aside, { force: true });
  return undefined;
}
