import { readdir, readlink, realpath, stat } from 'node:fs/promises';
import { uptime } from 'node:os';
import { REMOVED, REPLACED } from '../../../migration/image-identity.ts';
import { hasCode } from '../../../errors.ts';
import { identityOf, inodesOf, openFiles } from '../../../system/files/open-files.ts';
import { MS_PER_TICK, startTicksOf } from '../../../system/processes/process.ts';

/** Checks whether the firmware, kernels and ROMs that a QEMU read at its start are still at their paths. */

/** Path with the content that the guest runs. `note`: remark for people, as a clause after the name. */
export type ContentSource =
  | { readonly at: string; readonly note?: string; readonly hint?: string }
  | { readonly why: string };

export async function loadedFrom(
  pid: number,
  file: string,
  isOpen: boolean,
): Promise<ContentSource> {
  if (isOpen) return openedCode(pid, file);
  const note = await whyChangedSince(pid, file);
  return note === undefined ? { at: file } : { at: file, note, hint: LATER_HINT };
}

const LATER_HINT =
  'The content travels with the memory, if the file has the same size. Restart the guest to have it run the file as it is now.';

/**
 * Content of a flash chip, whose file QEMU keeps open. A package upgrade removes the file, but the open file
 * stays intact.
 */
async function openedCode(pid: number, file: string): Promise<ContentSource> {
  const id = await identityOf(file);
  try {
    const open = await openFiles({ pid }, await inodesOf([file]));
    if (id !== undefined && open.some((each) => each.id === id)) return { at: file };
  } catch (thrown) {
    // This user may not inspect the process: the path is used.
    if (hasCode(thrown, 'GODWIT_HOST_LACKS')) return { at: file };
    throw thrown;
  }
  const at = await removedFile(pid, file);
  if (at !== undefined && (await sizeOf(at)) === (await sizeOf(file))) {
    // A firmware upgrade on all hosts must not make every running guest unmovable.
    return { at: file, note: OLDER, hint: LATER_HINT };
  }
  if (at !== undefined) {
    const hint = `The destination needs the old code: copy it there into a directory of drivers.qemu.imageDirs (it is ${at} here). Restart the guest to have it run the new code.`;
    return { at, note: `is the old ${file}, which was replaced after the guest was started`, hint };
  }
  return { why: `${file}: ${id === undefined ? REMOVED : REPLACED}` };
}

const OLDER = 'is the code of before an upgrade; the file was replaced after the guest was started';

async function sizeOf(file: string): Promise<number | undefined> {
  return (await stat(file).catch(() => undefined))?.size;
}

async function removedFile(pid: number, file: string): Promise<string | undefined> {
  const directory = `/proc/${pid}/fd`;
  const found = new Map<string, string>();
  const real = await realpath(file).catch(() => file);
  for (const fd of await readdir(directory).catch(() => [])) {
    const at = `${directory}/${fd}`;
    const target = await readlink(at).catch(() => '');
    if (target !== `${file} (deleted)` && target !== `${real} (deleted)`) continue;
    found.set((await identityOf(at)) ?? '', at);
  }
  const [only, ...more] = found.values();
  return more.length === 0 ? only : undefined;
}

/** Uptime and process start have a resolution of 10 ms each, and file times of a kernel tick. */
const CLOCKS_MS = 30;

/**
 * Message about a changed file that QEMU does not keep open (`-bios`, `-kernel`, a ROM). Its content travels
 * with the memory, but the destination looks for the file's present content. Undefined if the file is older than
 * the process, or if that is unknown.
 */
async function whyChangedSince(pid: number, file: string): Promise<string | undefined> {
  const startTicks = startTicksOf(pid);
  const info = await stat(file).catch(() => undefined);
  if (startTicks === undefined || info === undefined) return undefined;
  const startedMs = Date.now() - uptime() * 1000 + startTicks * MS_PER_TICK;
  if (Math.max(info.birthtimeMs, info.mtimeMs) <= startedMs + CLOCKS_MS) return undefined;
  return `is ${file} as it was when the guest was started; the file was written or replaced since`;
}
