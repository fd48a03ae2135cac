import { readdir, readFile, stat } from 'node:fs/promises';
import { godwitError } from '../../../errors.ts';

/** Which of some files a process has open, as the kernel knows it. */

export interface OpenFile {
  /** As `identityOf` has it. */
  readonly id: string;
  readonly mayWrite: boolean;
}

/** What no other file is, by whatever path it is reached. Undefined where there is none. */
export async function identityOf(file: string): Promise<string | undefined> {
  const info = await stat(file, { bigint: true }).catch(() => undefined);
  if (info === undefined) return undefined;
  // A device has many nodes: the one that is opened is of no matter.
  return info.isBlockDevice() ? `device:${info.rdev}` : `${info.dev}:${info.ino}`;
}

/** The inodes by which open files are distinguished before they are looked at themselves. */
export async function inodesOf(files: readonly string[]): Promise<Set<string>> {
  const found = await Promise.all(
    files.map((file) => stat(file, { bigint: true }).catch(() => undefined)),
  );
  return new Set(found.flatMap((each) => (each === undefined ? [] : [String(each.ino)])));
}

/**
 * Of a process that has ended: none. Only those whose inode is wanted are looked at themselves: another file may lie on
 * storage that does not answer. Where the process may not be looked into, nobody knows, and that error is thrown.
 */
export async function openFiles(
  { pid }: { readonly pid: number },
  inodes: ReadonlySet<string>,
): Promise<OpenFile[]> {
  const names = await ofProcess(pid, () => readdir(`/proc/${pid}/fdinfo`));
  const found = await Promise.all(
    (names ?? []).map(async (name) => {
      const info = await ofProcess(pid, () => readFile(`/proc/${pid}/fdinfo/${name}`, 'utf8'));
      const inode = /^ino:\s*(\d+)$/m.exec(info ?? '')?.[1];
      // A kernel before 5.14 does not say.
      const isWanted = info !== undefined && (inode === undefined || inodes.has(inode));
      const id = isWanted ? await identityOf(`/proc/${pid}/fd/${name}`) : undefined;
      return id === undefined ? undefined : { id, mayWrite: mayWrite(info ?? '') };
    }),
  );
  return found.filter((each) => each !== undefined);
}

/** `flags:	0100002`: octal, the last digit says how it was opened; 0 is for reading. */
function mayWrite(fdinfo: string): boolean {
  const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(fdinfo)?.[1] ?? '0', 8);
  return (flags & 3) !== 0;
}

/** Undefined where the process, or that file of it, has gone meanwhile. */
async function ofProcess<T>(pid: number, look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    const what = `leave to see which files process ${pid} has open`;
    throw godwitError('GODWIT_HOST_LACKS', { what }, { cause: thrown });
  }
}
