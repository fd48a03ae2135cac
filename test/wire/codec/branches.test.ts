import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Branches } from '../../../src/wire/codec/branches.ts';
import { PAGE_BYTES } from '../../../src/wire/codec/item.ts';

/** Pages with many bytes that look like calls, dense or far apart, at places up to the largest. */
const byte = fc.constantFrom(0, 1, 0x7f, 0x80, 0xe7, 0xe8, 0xe9, 0xfe, 0xff);
const dense = fc
  .array(byte, { minLength: 40, maxLength: 600 })
  .map((bytes) => Buffer.alloc(PAGE_BYTES, Buffer.from(bytes)));
const sparse = fc
  .array(fc.tuple(fc.nat(PAGE_BYTES - 1), byte, byte), { maxLength: 60 })
  .map((calls) => {
    const page = Buffer.alloc(PAGE_BYTES, 0x90);
    for (const [at, opcode, highest] of calls) {
      page[at] = opcode;
      page[(at + 4) % PAGE_BYTES] = highest;
    }
    return page;
  });
const random = fc.uint8Array({ minLength: PAGE_BYTES, maxLength: PAGE_BYTES });
const pages = fc.oneof(dense, sparse, random);
const places = fc.nat({ max: 2 ** 40 - 1 }).map((page) => page * PAGE_BYTES);

const branches = new Branches();

/** The page after a call, as a copy. */
function after(page: Uint8Array, call: () => void): Buffer {
  branches.page.set(page);
  call();
  return Buffer.from(branches.page);
}

/** The same transform, byte by byte: other builds of Godwit at the far side make it, so it may never change. */
const isCandidate = (page: Uint8Array, at: number): boolean =>
  (page[at]! & 0xfe) === 0xe8 && (page[at + 4] === 0 || page[at + 4] === 0xff);

function plainAbsolute(from: Uint8Array, place: number): Buffer {
  const page = Buffer.from(from);
  for (let at = PAGE_BYTES - 5; at >= 0; at -= 1) {
    if (!isCandidate(page, at)) continue;
    const target = page.readInt32LE(at + 1) + (place % 2 ** 25) + at;
    page.writeInt32LE((target << 7) >> 7, at + 1);
  }
  return page;
}

function plainLooksLikeCode(page: Uint8Array): boolean {
  let found = 0;
  for (let at = 0; at < 1024; at += 1) {
    if (!isCandidate(page, at)) continue;
    found += 1;
    at += 4;
  }
  return found >= 3;
}

describe('branches', () => {
  test('branches are converted the same way by every build, and reversible for any bytes and place', () => {
    let code = 0;
    fc.assert(
      fc.property(pages, places, (page, place) => {
        const changed = after(page, () => branches.makeAbsolute(place));
        assert.ok(changed.equals(plainAbsolute(page, place)));
        assert.ok(after(changed, () => branches.makeRelative(place)).equals(page));
        branches.page.set(page);
        const looks = branches.looksLikeCode();
        assert.equal(looks, plainLooksLikeCode(page));
        if (looks) code += 1;
      }),
      { numRuns: 2000 },
    );
    assert.ok(code > 200 && code < 1800, `${code} pages look like code`);
  });

  test('branches of two calls of one function become alike', () => {
    const page = Buffer.alloc(PAGE_BYTES, 0x90);
    for (const at of [100, 900, 4091]) {
      page[at] = 0xe8;
      page.writeInt32LE(70_000 - at, at + 1);
    }
    branches.page.set(page);
    assert.ok(!branches.looksLikeCode(), 'two in the sample are chance');
    page.copy(page, 500, 100, 105);
    branches.page.set(page);
    assert.ok(branches.looksLikeCode());
    const changed = after(page, () => branches.makeAbsolute(3 * PAGE_BYTES));
    const targets = [100, 900, 4091].map((at) => changed.readInt32LE(at + 1));
    assert.deepEqual(targets, Array(3).fill(70_000 + 3 * PAGE_BYTES));
  });
});
