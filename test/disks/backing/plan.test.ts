import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { planBackingFiles, type BackingFileFate } from '../../../src/disks/backing/plan.ts';
import type { Disk } from '../../../src/protocol/disk.ts';

const pool = '0123456789abcdef';
const at = (node: string, path = `${node}.img`) => ({ node, pool, path });
const backing = (node: string, path?: string) => ({
  ...at(node, path),
  bytes: 10,
  sha256: 'ab'.repeat(32),
});
function disk(name: string, ...nodes: readonly string[]): Disk {
  const images = nodes.map((node, depth) => ({
    node,
    format: 'qcow2' as const,
    bytes: 10,
    readOnly: depth > 0,
  }));
  return { name, images };
}
const sentOf = (fates: readonly BackingFileFate[]) =>
  fates.flatMap((fate) => (fate.how === 'sent' ? [fate.backing] : []));
const nothing = { shared: [], backingFiles: [], found: [] };

describe('the plan for backing files', () => {
  test('a backing file is not sent if both hosts see it, or if the destination has the same', () => {
    const disks = [disk('vda', 'top', 'mid', 'low')];
    const facts = {
      shared: [at('mid')],
      backingFiles: [backing('low')],
      found: [at('low', 'other.img')],
    };
    assert.deepEqual(planBackingFiles(disks, facts), [
      { node: 'low', how: 'found', place: at('low', 'other.img') },
      { node: 'mid', how: 'shared', place: at('mid') },
    ]);
  });

  test('a backing file of several disks is sent once, even under different node names', () => {
    const disks = [disk('vda', 'a', 'low'), disk('vdb', 'b', 'low'), disk('vdc', 'c', 'low2')];
    const facts = { ...nothing, backingFiles: [backing('low', 'x.img'), backing('low2', 'x.img')] };
    const fates = planBackingFiles(disks, facts);
    assert.deepEqual(sentOf(fates), [backing('low', 'x.img')]);
    assert.deepEqual(fates[1], { node: 'low2', how: 'same', as: 'low' });
  });

  test('a backing file is reported if nothing is known about it', () => {
    assert.deepEqual(planBackingFiles([disk('vda', 'a', 'low')], nothing), [
      { node: 'low', how: 'unknown' },
    ]);
  });

  test('a disk that is only read is treated as a backing file, and a written one is not', () => {
    const [only] = disk('cd', 'iso').images;
    const readOnly = { name: 'cd', images: [{ ...only!, readOnly: true }] };
    const facts = { ...nothing, backingFiles: [backing('iso'), backing('top')] };
    const fates = planBackingFiles([readOnly, disk('vda', 'top')], facts);
    assert.deepEqual(fates, [{ node: 'iso', how: 'sent', backing: backing('iso') }]);
  });

  test('each image has one plan, and the images below it come first', () => {
    const nodes = ['a', 'b', 'c', 'd', 'e', 'f'];
    // A chain is all that lies below its top.
    const from = fc.nat(nodes.length - 1);
    const some = fc.subarray(nodes);
    fc.assert(
      fc.property(fc.array(from, { maxLength: 4 }), some, some, some, (tops, s, b, f) => {
        const chains = tops.map((top) => nodes.slice(top));
        const disks = chains.map((each, index) => disk(`d${index}`, `top${index}`, ...each));
        const [shared, found] = [s.map((n) => at(n)), f.map((n) => at(n))];
        const fates = planBackingFiles(disks, {
          shared,
          backingFiles: b.map((n) => backing(n)),
          found,
        });
        const order = fates.map((fate) => fate.node);
        assert.deepEqual(order, [...new Set(chains.flat())].toSorted().toReversed());
        for (const { node: sent } of sentOf(fates)) {
          assert.ok(b.includes(sent) && !s.includes(sent) && !f.includes(sent));
        }
      }),
    );
  });
});
