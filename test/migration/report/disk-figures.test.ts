import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addDiskLink } from '../../../src/migration/report/disk-figures.ts';
import { diskLink } from '../../../src/protocol/disk.ts';
import { diskLinkOf } from '../direct/samples.ts';

test("a single session's figures are the figures of the disks", () => {
  const figures = diskLinkOf();
  assert.deepEqual(addDiskLink(undefined, figures), figures);
});

test("another session's figures are added, and the longest cut is the longest of all", () => {
  const first = diskLinkOf({ cuts: 2, longestCutMs: 4000 });
  const second = diskLinkOf({ sentBytes: 1, receivedBytes: 2, linkBytes: 3, cuts: 1 });
  assert.deepEqual(addDiskLink(first, second), {
    sentBytes: first.sentBytes + 1,
    receivedBytes: first.receivedBytes + 2,
    linkBytes: first.linkBytes + 3,
    cuts: 3,
    longestCutMs: 4000,
    sessions: 2,
  });
});

test('the order of the sessions changes nothing, and their sum can be reported', () => {
  const any = fc.record({ sentBytes: fc.nat(), linkBytes: fc.nat(), longestCutMs: fc.nat() });
  fc.assert(
    fc.property(any, any, (left, right) => {
      const [one, other] = [diskLinkOf(left), diskLinkOf(right)];
      const sum = addDiskLink(one, other);
      assert.deepEqual(sum, addDiskLink(other, one));
      assert.deepEqual(diskLink.parse(sum), sum);
    }),
  );
});
