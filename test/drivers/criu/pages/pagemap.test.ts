import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPagemap } from '../../../../src/drivers/criu/pages/pagemap.ts';
import { pagemapImage } from '../pager/images.ts';

const [LAZY, PRESENT, PARENT] = [2, 4, 1];

test('the pages that may come later are found with their place in the file', () => {
  const image = pagemapImage(3, [
    { from: 0x1000, pages: 2, flags: PRESENT },
    { from: 0x7f00_0000_0000, pages: 300, flags: PRESENT | LAZY },
    { from: 0x7f10_0000_0000, pages: 5, flags: LAZY },
    { from: 0x7f20_0000_0000, pages: 1, flags: PRESENT | LAZY },
  ]);
  assert.deepEqual(readPagemap(image), {
    file: 3,
    lazy: [
      { from: 0x7f00_0000_0000, pages: 300, file: 3, at: 2 },
      { from: 0x7f20_0000_0000, pages: 1, file: 3, at: 302 },
    ],
  });
});

test('an image that is truncated, of another kind, or needs another one is refused', () => {
  const image = pagemapImage(1, [{ from: 0x1000, pages: 1, flags: PRESENT }]);
  assert.throws(() => readPagemap(image.subarray(0, -1)));
  assert.throws(() => readPagemap(Buffer.concat([Buffer.alloc(8), image.subarray(8)])), /no image/);
  const parent = pagemapImage(1, [{ from: 0x1000, pages: 1, flags: PARENT }]);
  assert.throws(() => readPagemap(parent), /another image/);
});
