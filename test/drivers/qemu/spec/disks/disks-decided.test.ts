import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decideNodes } from '../../../../../src/drivers/qemu/spec/disks/disks-decided.ts';
import { openings } from '../../../../../src/drivers/qemu/spec/disks/disks-argv.ts';
import type { BlockNode } from '../../../../../src/drivers/qemu/spec/disks/disk-schema.ts';
import type { Disk } from '../../../../../src/protocol/disk.ts';
import { blockNode } from '../samples.ts';

const NAMES = ['n0', 'n1', 'n2', 'n3', 'n4'] as const;
const DIRECTORIES = ['/srv/vm', '/srv/vm2', '/mnt/nolocks'] as const;

const node: fc.Arbitrary<BlockNode> = fc.record({
  node: fc.constantFrom(...NAMES),
  format: fc.constantFrom('raw', 'qcow2'),
  readOnly: fc.boolean(),
  direct: fc.boolean(),
  discard: fc.constant('ignore'),
  fileDiscard: fc.constant('ignore'),
  detectZeroes: fc.constant('off'),
  aio: fc.constant('threads'),
  locking: fc.constantFrom('auto', 'off'),
  tuning: fc.constant({}),
});
const nodes = fc.uniqueArray(node, { selector: (each) => each.node, minLength: 1 });

const disks: fc.Arbitrary<Disk[]> = fc.array(
  fc.record({
    name: fc.constant('vda'),
    images: fc.array(
      fc.record({
        node: fc.constantFrom(...NAMES),
        format: fc.constant('raw' as const),
        bytes: fc.constant(512),
        readOnly: fc.boolean(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  { maxLength: 4 },
);
const files = fc.array(fc.constantFrom(...DIRECTORIES), { minLength: 5, maxLength: 5 });

/** What QEMU is given of one image, whatever node says it. */
function words(each: BlockNode, file: string): Record<string, unknown>[] {
  return openings(each, file) as Record<string, unknown>[];
}

describe("the destination's decisions on a peer's images", () => {
  test('an image is opened for writing only if a disk that the guest writes to is on it', () => {
    fc.assert(
      fc.property(nodes, disks, (given, guestDisks) => {
        for (const each of decideNodes(given, guestDisks, new Map(), [])) {
          const isTop = guestDisks.some(
            ({ images: [top] }) => top?.node === each.node && !top.readOnly,
          );
          for (const word of words(each, '/srv/vm/x')) assert.equal(word['read-only'], !isTop);
        }
      }),
    );
  });

  test("an image is opened without a lock only in a directory that this host's configuration names", () => {
    fc.assert(
      fc.property(nodes, files, (given, places) => {
        const at = new Map(NAMES.map((name, index) => [name, `${places[index]}/disk.raw`]));
        for (const each of decideNodes(given, [], at, ['/mnt/nolocks'])) {
          const file = at.get(each.node as (typeof NAMES)[number]) ?? '';
          const expected = file.startsWith('/mnt/nolocks/') ? 'off' : 'auto';
          assert.equal(words(each, file)[0]?.['locking'], expected);
        }
      }),
    );
  });

  test("a directory whose name begins like an unlocked directory's keeps its locks", () => {
    const given = blockNode('n0', { locking: 'off' });
    const at = new Map([['n0', '/srv/vm2/disk.raw']]);
    assert.equal(decideNodes([given], [], at, ['/srv/vm'])[0]?.locking, 'auto');
  });
});
