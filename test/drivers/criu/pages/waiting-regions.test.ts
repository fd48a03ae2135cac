import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  hasWiped,
  outside,
  waitingRegions,
} from '../../../../src/drivers/criu/pages/waiting-regions.ts';

const SMAPS = `00400000-00402000 r-xp 00000000 00:1d 5 /bin/node
Rss:                   8 kB
VmFlags: rd ex mr mw me sd
7f0000000000-7f0000004000 rw-p 00000000 00:00 0
Rss:                   0 kB
VmFlags: rd wr mr mw me ac um sd
7f0000004000-7f0000006000 r--p 00000000 00:00 0
VmFlags: rd mr mw me um
7f0000008000-7f0000009000 rw-p 00000000 00:00 0 [stack]
VmFlags: rd wr mr mw me gd ac
`;
const regions = waitingRegions(SMAPS);
const span = (from: number, pages: number) => ({ from, pages, file: 1, at: 0 });

test('pages that are to come are in mappings that the kernel waits for, including two adjacent ones', () => {
  assert.deepEqual(regions, [{ from: 0x7f0000000000, to: 0x7f0000006000 }]);
  assert.equal(outside([span(0x7f0000001000, 5)], regions), undefined);
});

test('a page outside of the waiting regions is found: it would be zeroes', () => {
  const wrong = span(0x7f0000005000, 2);
  assert.equal(outside([span(0x7f0000000000, 1), wrong], regions), wrong);
  const stack = span(0x7f0000008000, 1);
  assert.equal(outside([stack], regions), stack);
});

test('a mapping that is empty in children is detected', () => {
  assert.equal(hasWiped(SMAPS), false);
  assert.equal(hasWiped(SMAPS.replace('gd ac', 'gd wf ac')), true);
  assert.equal(hasWiped(SMAPS.replace('gd ac', 'gd wf')), true);
});
