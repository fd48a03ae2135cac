import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { PAGE, type Region } from './memory.ts';
import { readPagemap } from './pagemap.ts';
import { hasEnded } from '../host/processes.ts';
import type { Span } from '../pager/address-space.ts';

/** Checks that the kernel waits for each missing page of a container; elsewhere it would supply zeros. */

/** Mappings whose missing pages a pager gives, from `/proc/PID/smaps`. Pure. */
export function waitingRegions(smaps: string): Pick<Region, 'from' | 'to'>[] {
  const found: Pick<Region, 'from' | 'to'>[] = [];
  let [from, to] = [0, 0];
  for (const line of smaps.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) \S{4} /.exec(line);
    if (head !== null) {
      [from, to] = [Number.parseInt(head[1] ?? '', 16), Number.parseInt(head[2] ?? '', 16)];
    } else if (line.startsWith('VmFlags:') && / um( |$)/.test(line)) {
      const last = found.at(-1);
      if (last?.to === from) found[found.length - 1] = { from: last.from, to };
      else found.push({ from, to });
    }
  }
  return found;
}

export const WIPED =
  'it has memory that is empty in its children (MADV_WIPEONFORK), and they would find their parent’s there';

/**
 * True if a process has a mapping that is empty in its children (MADV_WIPEONFORK), from `/proc/PID/smaps`. A
 * pager would take a child's empty page for a missing one and give it its parent's.
 */
export async function wipesOnFork(pids: readonly number[]): Promise<boolean> {
  for (const pid of pids) {
    const smaps = await readFile(`/proc/${pid}/smaps`, 'utf8').catch(hasEnded);
    if (smaps !== undefined && hasWiped(smaps)) return true;
  }
  return false;
}

export function hasWiped(smaps: string): boolean {
  return /^VmFlags:.* wf( |$)/m.test(smaps);
}

/** First span that is not completely in one of these sorted regions. Pure. */
export function outside(
  spans: readonly Span[],
  regions: readonly Pick<Region, 'from' | 'to'>[],
): Span | undefined {
  return spans.find(({ from, pages }) => {
    const end = from + pages * PAGE;
    return !regions.some((region) => region.from <= from && end <= region.to);
  });
}

/** Throws if a missing page of these stopped processes would be zero. */
export async function assertWaits(pids: readonly number[], images: string): Promise<void> {
  const tasks = new Set<number>();
  for (const pid of pids) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const task = Number(/^NSpid:(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/).at(-1));
    const name = path.join(images, `pagemap-${task}.img`);
    const image = await readFile(name).catch(() => undefined);
    if (image === undefined) continue;
    tasks.add(task);
    const smaps = await readFile(`/proc/${pid}/smaps`, 'utf8');
    // The process may have requested it after the source's check.
    if (hasWiped(smaps)) throw new Error(`process ${task}: ${WIPED}`);
    const regions = waitingRegions(smaps);
    const found = outside(readPagemap(image).lazy, regions);
    if (found === undefined) continue;
    const at = `0x${found.from.toString(16)}`;
    throw new Error(
      `the kernel would not wait for the ${found.pages} pages of process ${task} from ${at} on`,
    );
  }
  for (const name of await readdir(images)) {
    const task = /^pagemap-(\d+)\.img$/.exec(name)?.[1];
    if (task !== undefined && !tasks.has(Number(task)))
      throw new Error(`process ${task} of the images is not there`);
  }
}
