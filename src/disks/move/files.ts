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

/** Files of a disk move: the new image, and the old one. Every call may be repeated. */

const madeOf = ({ to, id }: DiskMovePlan) => madeNames(to, id, 0);

/** Makes an empty file with the new image's name and the old image's owner; replaces an earlier attempt. */
export async function makeNew(plan: DiskMovePlan): Promise<void> {
  const made = madeOf(plan);
  await discard(made);
  await makeDirectories(plan.directories);
  const handle = await inRealDirectory(made.temporary, (at) => open(at, 'wx', 0o600));
  try {
    const { uid, gid, mode } = await stat(plan.from);
    const own = await handle.stat();
    // The hypervisor may run as another user than the agent.
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

/** Call before `keepNew`. */
export async function isNewThere(plan: DiskMovePlan): Promise<boolean> {
  return isNamed(madeOf(plan));
}

export async function keepNew(plan: DiskMovePlan): Promise<void> {
  await keep(madeOf(plan));
}

/**
 * Renames the old image first, so that no guest is started on it, and removes it unless it is kept. Another file with
 * its name is left alone. `isHeld`: a program has had it open since its identity was taken. Resolves to its kept
 * path, and the reason why it was not given up.
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
