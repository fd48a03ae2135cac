import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { looksLikeCode, makeAbsolute, makeRelative } from '../../../src/wire/codec/branches.ts';
import { PAGE_BYTES } from '../../../src/wire/codec/item.ts';

/** Pages with many bytes that look like calls, at places up to the largest. */
const byte = fc.constantFrom(0, 1, 0x7f, 0x80, 0xe7, 0xe8, 0xe9, 0xfe, 0xff);
const pages = fc
  .array(byte, { minLength: 40, maxLength: 600 })
  .map((bytes) => Buffer.alloc(PAGE_BYTES, Buffer.from(bytes)));
const places = fc.nat({ max: 2 ** 40 - 1 }).map((page) => page * PAGE_BYTES);

describe('branches', () => {
  test('come back as they were, whatever the bytes and the place are', () => {
    fc.assert(
      fc.property(
        fc.oneof(pages, fc.uint8Array({ minLength: PAGE_BYTES, maxLength: PAGE_BYTES })),
        places,
        (page, place) => {
          const changed = Buffer.from(page);
          makeAbsolute(changed, place);
          makeRelative(changed, place);
          assert.deepEqual(changed, Buffer.from(page));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('of two calls of one function become alike', () => {
    const page = Buffer.alloc(PAGE_BYTES, 0x90);
    for (const at of [100, 900, 4091]) {
      page[at] = 0xe8;
      page.writeInt32LE(70_000 - at, at + 1);
    }
    assert.ok(!looksLikeCode(page), 'two in the sample are chance');
    page.copy(page, 500, 100, 105);
    assert.ok(looksLikeCode(page));
    makeAbsolute(page, 3 * PAGE_BYTES);
    const targets = [100, 900, 4091].map((at) => page.readInt32LE(at + 1));
    assert.deepEqual(targets, Array(3).fill(70_000 + 3 * PAGE_BYTES));
  });
});
