import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileUsers } from '../../system/files/file-users.ts';
import { setAside } from '../../system/files/identified-file.ts';
import { inRealDirectory } from '../../system/files/real-directory.ts';
import { namesOfUnseen, NOT_KNOWN, REPLACED } from '../../migration/image-identity.ts';
import type { DiskMovePlan } from '../../migration/disk-move.ts';
import {
  discard,
  isNamed,
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

/** Before `keepNew`. */
export async function isNewThere(plan: DiskMovePlan): Promise<boolean> {
  return isNamed(madeOf(plan));
}

export async function keepNew(plan: DiskMovePlan): Promise<void> {
  await keep(madeOf(plan));
}

/**
 * The old image is not a guest's disk any more: it is renamed first, so that no guest is started on it, and removed unless it
 * is kept. Another file of its name is left alone. `isHeld`: a program has had it open since its identity was taken. Resolves
 * to where it is kept, and why it could not be given up.
 */
export async function giveUpOld(
  { from, id, identity }: DiskMovePlan,
  { isKept, isHeld = false }: { readonly isKept: boolean; readonly isHeld?: boolean },
  signal: AbortSignal,
  usersOf = fileUsers,
): Promise<{ readonly kept?: string; readonly note?: string }> {
  const isAsked = !isKept && identity !== '';
  const { users, unseen } = isAsked
    ? await usersOf({ identities: [identity], except: [] }, signal)
    : { users: [], unseen: [] };
  if (users.length > 0) {
    const named = users.slice(0, 8).map(({ by }) => by);
    return { kept: from, note: `the old image stays as it is: ${named.join(', ')} uses it` };
  }
  const aside = `${from}.moved-${id}`;
  const how = { isKept: isKept || unseen.length > 0, isHeld };
  const became = await setAside(from, path.basename(aside), identity || undefined, how);
  if (became === 'kept')
    return unseen.length === 0
      ? { kept: aside }
      : { kept: aside, note: `the old image is kept: ${namesOfUnseen(unseen)}` };
  if (became === 'removed' || became === 'gone') return {};
  return { note: `${from} stays as it is: ${became === 'other' ? REPLACED : NOT_KNOWN}` };
}
