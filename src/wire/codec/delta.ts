import { BadFrame, Reader, type Writer } from './bytes.ts';
import { PAGE_BYTES } from './item.ts';

const WORDS = PAGE_BYTES / 4;

/**
 * Writes the difference of `page` and `base`: pairs of unchanged and changed word counts, the latter with their
 * bytes. Returns false, and writes nothing, if it would exceed `most` bytes. Both must be aligned to 4 bytes.
 */
export function writeDelta(base: Uint8Array, page: Uint8Array, most: number, out: Writer): boolean {
  const old = new Int32Array(base.buffer, base.byteOffset, WORDS);
  const now = new Int32Array(page.buffer, page.byteOffset, WORDS);
  const runs: number[] = [];
  let size = 0;
  let at = 0;
  while (at < WORDS) {
    const same = at;
    while (at < WORDS && old[at] === now[at]) at += 1;
    if (at === WORDS) break;
    const changed = at;
    while (at < WORDS && old[at] !== now[at]) at += 1;
    size += (changed - same > 127 ? 2 : 1) + (at - changed > 127 ? 2 : 1) + (at - changed) * 4;
    if (size > most) return false;
    runs.push(changed - same, at - changed);
  }
  out.number(size);
  let word = 0;
  for (let run = 0; run < runs.length; run += 2) {
    const changed = runs[run + 1] ?? 0;
    word += runs[run] ?? 0;
    out.number(runs[run] ?? 0);
    out.number(changed);
    out.bytes(page.subarray(word * 4, (word + changed) * 4));
    word += changed;
  }
  return true;
}

/** Converts the base in `page` to the delta's version. */
export function applyDelta(page: Uint8Array, delta: Buffer): void {
  const reader = new Reader(delta);
  let word = 0;
  while (reader.left > 0) {
    word += reader.number();
    const changed = reader.number();
    if (changed === 0 || word + changed > WORDS) throw new BadFrame('a delta leaves its page');
    page.set(reader.bytes(changed * 4), word * 4);
    word += changed;
  }
}
