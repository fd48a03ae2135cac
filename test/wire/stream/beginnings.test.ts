import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Beginnings } from '../../../src/wire/stream/beginnings.ts';
import * as writer from './writer.ts';

function places(bytes: Buffer, end: number, footer?: number, ram?: number): number[] {
  const beginnings = new Beginnings(bytes, { at: 0, end }, footer, ram);
  const found: number[] = [];
  for (let at = beginnings.next(0); at < end; at = beginnings.next(at + 1)) found.push(at);
  return found;
}

describe('possible beginnings', () => {
  test('possible beginnings are all bytes that can begin an element, when no ids are known', () => {
    const bytes = Buffer.from([9, 1, 9, 2, 3, 0, 4, 0x7e, 9]);
    assert.deepEqual(places(bytes, bytes.length), [1, 3, 4, 7]);
    assert.deepEqual(places(bytes, 4), [1, 3]);
  });

  test('possible beginnings with known ids omit none that counts, complete or cut by the window', () => {
    const wanted = [writer.footer(5), writer.partHeader('part', 2), writer.partHeader('end', 2)];
    const filler = fc
      .uint8Array({ minLength: 1, maxLength: 200 })
      .map((bytes) => Buffer.from(bytes));
    const parts = fc.array(fc.oneof(filler, fc.constantFrom(...wanted, writer.footer(6))), {
      minLength: 4,
      maxLength: 12,
    });
    // Short, and so long that a piece of the search ends among the parts.
    const lead = fc.oneof(fc.constant(300), fc.integer({ min: 4060, max: 4100 }));
    fc.assert(
      fc.property(parts, fc.nat(9), lead, (all, cut, before) => {
        // Long enough for the native search, and more of the chunk behind the window.
        const bytes = Buffer.concat([Buffer.alloc(before), ...all, Buffer.alloc(300)]);
        const end = bytes.length - 300 - cut;
        const found = places(bytes, end, 5, 2);
        for (const place of places(bytes, end)) {
          const there = bytes.subarray(place, Math.min(end, place + 5));
          const counts = wanted.some((each) => each.subarray(0, there.length).equals(there));
          if (counts) assert.ok(found.includes(place), `${place} of ${end}`);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
