import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_RUN_BYTES, runsOf } from '../../../src/disks/backing/runs.ts';

const BLOCK = 4096;

test('the runs written onto zeroes equal the file, in order, and hold no block of zeroes', () => {
  const block = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 255 }));
  const tail = fc.nat(BLOCK - 1);
  fc.assert(
    fc.property(fc.array(block, { maxLength: 40 }), tail, fc.nat(1e9), (blocks, rest, offset) => {
      const all = blocks.map(([isZero, value]) => Buffer.alloc(BLOCK, isZero ? 0 : value));
      const whole = Buffer.concat([...all, Buffer.alloc(rest, 7)]);
      const again = Buffer.alloc(whole.length);
      let next = offset;
      for (const { offset: at, bytes } of runsOf(whole, offset)) {
        assert.ok(at >= next && bytes.length > 0 && bytes.length <= MAX_RUN_BYTES);
        next = at + bytes.length;
        again.set(bytes, at - offset);
        for (let from = 0; from < bytes.length; from += BLOCK) {
          assert.ok(bytes.subarray(from, from + BLOCK).some((value) => value !== 0));
        }
      }
      assert.ok(again.equals(whole));
    }),
  );
});

test('a hole of any size has no run', () => {
  assert.deepEqual([...runsOf(Buffer.alloc(100_000), 0)], []);
});
