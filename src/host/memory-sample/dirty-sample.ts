import { crc32 } from 'node:zlib';
import { RATE_WINDOW_MS } from '../../migration/prediction/curve.ts';
import type { CurvePoint } from '../../protocol/public/prediction.ts';
import { choose, eachOf, PAGE_BYTES, type Pages, type Time } from './pages.ts';

/** Smaller than a plan's sample, because the agent measures guests repeatedly. */
export const DIRTY_SAMPLE_PAGES = 512;
const ZEROS = crc32(Buffer.alloc(PAGE_BYTES));

/**
 * Share of a guest's memory written in one window, from a small sample of checksums. The result has the actual
 * length of the window. Undefined if no page, or only few, can be read twice.
 */
export async function sampleDirty(
  pages: Pages,
  time: Time,
  signal: AbortSignal,
  random: () => number = Math.random,
): Promise<CurvePoint | undefined> {
  const content = Buffer.alloc(PAGE_BYTES);
  const before = new Map<number, number>();
  const first = await timed(time, () =>
    eachOf(choose(pages.count, DIRTY_SAMPLE_PAGES, random), signal, (page) => {
      const sum = sumOf(pages, page, content);
      if (sum !== undefined) before.set(page, sum);
    }),
  );
  if (before.size === 0) return undefined;
  await time.sleep(Math.max(0, first + RATE_WINDOW_MS - time.monotonicMs()), signal);
  let [again, written] = [0, 0];
  const second = await timed(time, () =>
    eachOf([...before.keys()], signal, (page) => {
      const sum = sumOf(pages, page, content);
      if (sum === undefined) return;
      again += 1;
      if (sum !== before.get(page)) written += 1;
    }),
  );
  if (again < before.size / 2) return undefined;
  const dirtyBytes = Math.round((written / again) * pages.count * PAGE_BYTES);
  return { windowMs: Math.max(1, Math.round(second - first)), dirtyBytes };
}

async function timed(time: Time, look: () => Promise<void>): Promise<number> {
  const beganMs = time.monotonicMs();
  await look();
  return (beganMs + time.monotonicMs()) / 2;
}

function sumOf(pages: Pages, page: number, content: Buffer): number | undefined {
  const state = pages.state(page);
  if (state === 'absent') return ZEROS;
  return state === 'here' && pages.read(page, content) ? crc32(content) : undefined;
}
