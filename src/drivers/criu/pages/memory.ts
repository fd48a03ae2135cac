import { open, readFile, type FileHandle } from 'node:fs/promises';

export const PAGE = 4096;
const MAX_PAGES = 1024;
/** Upper half of a page map entry: the page is in memory or swapped. */
const THERE = 0xc000_0000;
/** File page; in a dump only after a write. */
const OF_FILE = 0x2000_0000;

export const ENTRY_BYTES = 8;

export function isDumped(entries: Buffer, index: number, shared: boolean): boolean {
  const entry = entries.readUInt32LE(index * ENTRY_BYTES + 4);
  return (entry & THERE) !== 0 && (shared || (entry & OF_FILE) === 0);
}

export interface Region {
  readonly from: number;
  readonly to: number;
  /** Shared memory without a file, which a dump contains. */
  readonly shared: boolean;
}

/** Mappings whose pages a dump contains: private ones, and shared ones without a file. Pure. */
export function regionsOf(maps: string): Region[] {
  return maps.split('\n').flatMap((line): Region[] => {
    const found = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$/s.exec(line);
    if (found === null) return [];
    const [, from = '', to = '', mode = '', name = ''] = found;
    const isOwn = mode[3] === 'p' || name.startsWith('/dev/zero') || name.startsWith('/memfd:');
    if (!isOwn || mode[0] !== 'r' || /^\[(vdso|vvar|vsyscall)/.test(name)) return [];
    const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
    return [{ from: start, to: end, shared: mode[3] !== 'p' }];
  });
}

/**
 * Calls `take` with resident pages and their address, adjacent pages together. The buffer is reused after `take`
 * resolves.
 */
export async function readMemory(
  pid: number,
  take: (pages: Buffer, from: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
  let memory: FileHandle | undefined;
  let table: FileHandle | undefined;
  try {
    memory = await open(`/proc/${pid}/mem`);
    table = await open(`/proc/${pid}/pagemap`);
    const files = { memory, table, pages: Buffer.allocUnsafe(MAX_PAGES * PAGE) };
    for (const region of regionsOf(maps)) await readRegion(files, region, take, signal);
  } catch (error) {
    signal.throwIfAborted();
    // A process that ended meanwhile has no memory.
    if (!isGone(error)) throw error;
  } finally {
    await memory?.close();
    await table?.close();
  }
}

async function readRegion(
  { memory, table, pages }: Record<'memory' | 'table', FileHandle> & { readonly pages: Buffer },
  { from, to, shared }: Region,
  take: (pages: Buffer, from: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const entries = Buffer.alloc(MAX_PAGES * ENTRY_BYTES);
  for (let at = from; at < to; at += MAX_PAGES * PAGE) {
    signal.throwIfAborted();
    const count = Math.min(MAX_PAGES, (to - at) / PAGE);
    const place = (at / PAGE) * ENTRY_BYTES;
    const { bytesRead } = await table.read(entries, 0, count * ENTRY_BYTES, place);
    const isThere = (index: number): boolean =>
      index * ENTRY_BYTES < bytesRead && isDumped(entries, index, shared);
    for (let first = 0; first < count; first += 1) {
      if (!isThere(first)) continue;
      let last = first;
      while (last + 1 < count && isThere(last + 1)) last += 1;
      const read = await memory
        .read(pages, 0, (last - first + 1) * PAGE, at + first * PAGE)
        .catch(() => undefined);
      // A dump contains no pages that were unmapped meanwhile.
      const whole = Math.floor((read?.bytesRead ?? 0) / PAGE) * PAGE;
      if (whole > 0) await take(pages.subarray(0, whole), at + first * PAGE);
      first = last;
    }
  }
}

function isGone(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'ENOENT')
  );
}
