import { hash } from 'node:crypto';
import { DIGEST_BYTES, GROUP, KEY_BYTES, MAX_ASKED } from '../link/frames.ts';

/**
 * Questions for groups of pages. Most adjacent pages of a returning container are unchanged, so one digest of
 * digests covers a group. Pure.
 */

const ENTRY = KEY_BYTES + DIGEST_BYTES;

export function groupsIn(pages: number): number {
  return Math.ceil(pages / GROUP);
}

export function groupQuestion(digests: Buffer): Buffer {
  const pages = digests.length / DIGEST_BYTES;
  const body = Buffer.alloc(4 + groupsIn(pages) * ENTRY);
  body.writeUInt32LE(pages, 0);
  for (let group = 0; group < groupsIn(pages); group += 1) {
    const own = digests.subarray(group * GROUP * DIGEST_BYTES, (group + 1) * GROUP * DIGEST_BYTES);
    own.copy(body, 4 + group * ENTRY, 0, KEY_BYTES);
    hash('sha256', own, 'buffer').copy(body, 4 + group * ENTRY + KEY_BYTES);
  }
  return body;
}

export interface AskedGroup {
  readonly key: Buffer;
  readonly pages: number;
  readonly digest: Buffer;
}

export function groupsOf(body: Buffer): AskedGroup[] {
  const pages = body.length < 4 ? 0 : body.readUInt32LE(0);
  const isOurs = pages > 0 && pages <= MAX_ASKED && body.length === 4 + groupsIn(pages) * ENTRY;
  if (!isOurs) throw new Error(`${body.length} bytes of groups`);
  return Array.from({ length: groupsIn(pages) }, (_, group) => {
    const at = 4 + group * ENTRY;
    return {
      key: body.subarray(at, at + KEY_BYTES),
      pages: Math.min(GROUP, pages - group * GROUP),
      digest: body.subarray(at + KEY_BYTES, at + ENTRY),
    };
  });
}

export function bitsOf(found: Uint8Array): Buffer {
  const bits = Buffer.alloc(Math.ceil(found.length / 8));
  for (const [index, each] of found.entries())
    if (each === 1) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  return bits;
}

export function hasBit(bits: Buffer, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

/** Encodes consecutive numbers as number and count; numbers from `alike` on as number and repetitions. */
export function runsOf(numbers: readonly number[], alike: number): Buffer {
  const runs: number[] = [];
  for (let index = 0; index < numbers.length;) {
    const first = numbers[index] ?? 0;
    let count = 1;
    while (numbers[index + count] === (first >= alike ? first : first + count)) count += 1;
    runs.push(first, count);
    index += count;
  }
  return Buffer.from(Uint32Array.from(runs).buffer);
}

/** Decodes up to `most` numbers. Throws for an invalid list of runs. */
export function numbersOf(runs: Buffer, alike: number, most: number): Buffer {
  if (runs.length % 8 !== 0) throw new Error(`${runs.length} bytes of runs`);
  const numbers = Buffer.alloc(most * 4);
  let at = 0;
  for (let from = 0; from < runs.length; from += 8) {
    const [first, count] = [runs.readUInt32LE(from), runs.readUInt32LE(from + 4)];
    const isOver = first < alike && first + count > alike;
    if (count === 0 || at + count > most || isOver) throw new Error('runs of too many pages');
    for (let index = 0; index < count; index += 1)
      at = numbers.writeUInt32LE(first >= alike ? first : first + index, at * 4) / 4;
  }
  return numbers.subarray(0, at * 4);
}
