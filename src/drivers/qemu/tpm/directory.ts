import { constants } from 'node:fs';
import { chmod, chown, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../../errors.ts';
import { removeTree } from '../../../system/files/remove-tree.ts';
import { writeNew } from '../user/access.ts';
import type { RunAs } from '../user/confine.ts';
import { makeTpmsDir } from './program.ts';

/**
 * State of a guest's TPM: `stateDir/tpm/NAME`, a local directory that outlives its QEMU. Existing contents are
 * renamed with a number and never written.
 */

/** The agent owns this record in the guest's directory until the guest stays here for good. */
const RECORD = 'godwit-tpm.json';
const MAX_ASIDE = 9;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const record = z.object({
  /** New place of earlier contents. Absent: there were none. */
  aside: z.string().max(4096).optional(),
});

export function tpmsDirOf(guestDir: string): string {
  return path.join(path.dirname(path.dirname(guestDir)), 'tpm');
}

export function tpmDirOf(guestDir: string): string {
  return path.join(tpmsDirOf(guestDir), path.basename(guestDir));
}

/** New name for the present directory; undefined if there is none. Throws GODWIT_HOST_LACKS if no number is free. */
export async function asideFor(guestDir: string): Promise<string | undefined> {
  const own = tpmDirOf(guestDir);
  if (!(await isThere(own))) return undefined;
  for (let number = 1; number <= MAX_ASIDE; number += 1) {
    const name = `${own}.old-${number}`;
    if (!(await isThere(name))) return name;
  }
  const what = `a place for the state of an earlier TPM in ${tpmsDirOf(guestDir)}`;
  const hint = `Remove those of ${own}.old-1 to ${own}.old-${MAX_ASIDE} that nobody needs any more.`;
  throw godwitError('GODWIT_HOST_LACKS', { what }, { hint });
}

/** Creates the directory for an arriving guest and its user. Each change is recorded first. */
export async function makeTpmDir(guestDir: string, as: RunAs | undefined): Promise<string> {
  const own = tpmDirOf(guestDir);
  const aside = await asideFor(guestDir);
  await makeTpmsDir(path.dirname(own));
  await writeNew(path.join(guestDir, RECORD), JSON.stringify({ aside }));
  if (aside !== undefined) await setAside(own, aside);
  await mkdir(own, { mode: 0o700 });
  if (as !== undefined) await chown(own, as.uid, as.gid);
  return own;
}

/** Undoes `makeTpmDir`, including a partial run. Does nothing without a record. */
export async function unmakeTpmDir(guestDir: string): Promise<void> {
  const made = await readRecord(guestDir);
  if (made === undefined) return;
  const own = tpmDirOf(guestDir);
  const { aside } = made;
  if (aside === undefined) await removeTree(own);
  else if (await isThere(aside)) {
    await removeTree(own);
    await rename(aside, own);
  }
  await keepTpmDir(guestDir);
}

/** The guest stays here for good, with its TPM state. */
export async function keepTpmDir(guestDir: string): Promise<void> {
  await rm(path.join(guestDir, RECORD), { force: true });
}

/** The guest has left: only the latest of its old TPM states is kept. */
export async function leaveTpmDir(guestDir: string): Promise<void> {
  const own = tpmDirOf(guestDir);
  if (!(await isThere(own))) return;
  await removeTree(`${own}.left`);
  await setAside(own, `${own}.left`);
}

/** Becomes the agent's, because the guest's user may be given to another guest later. */
async function setAside(from: string, to: string): Promise<void> {
  await rename(from, to);
  await chown(to, process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
  await chmod(to, 0o700);
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** QEMU may create files in that directory; only a file owned by the agent is trusted. */
async function readRecord(guestDir: string): Promise<z.infer<typeof record> | undefined> {
  try {
    const handle = await open(path.join(guestDir, RECORD), READ);
    try {
      const info = await handle.stat();
      if (!info.isFile() || info.nlink !== 1 || info.uid !== process.geteuid?.()) return undefined;
      return record.parse(JSON.parse(await handle.readFile('utf8')));
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}
