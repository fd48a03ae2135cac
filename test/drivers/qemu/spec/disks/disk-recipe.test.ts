import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type {
  LiveNode,
  Qcow2Facts,
} from '../../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { recipeOf } from '../../../../../src/drivers/qemu/spec/disks/disk-recipe.ts';
import { recipe } from '../../../../../src/drivers/qemu/spec/disks/disk-schema.ts';
import { QCOW2, liveNode } from '../samples.ts';

const IMAGE = liveNode('vda', 'qcow2', { snapshots: 0, qcow2: QCOW2 });
const lost = (change: Partial<LiveNode>) => recipeOf({ ...IMAGE, ...change }).lost ?? '';
const odd = (change: Partial<Qcow2Facts>) => lost({ qcow2: { ...QCOW2, ...change } });

describe('the recipe of an image', () => {
  test('a recipe is known for a qcow2 image, in both of its versions', () => {
    const { clusterBytes, refcountBits, lazyRefcounts, extendedL2 } = QCOW2;
    const rest = { clusterBytes, refcountBits, lazyRefcounts, extendedL2, compression: 'zlib' };
    assert.deepEqual(recipeOf(IMAGE), { make: { ...rest, version: 'v3' } });
    const old = recipeOf({ ...IMAGE, qcow2: { ...QCOW2, compat: '0.10' } });
    assert.deepEqual(old, { make: { ...rest, version: 'v2' } });
  });

  test('a raw image has an empty recipe, because it has no features', () => {
    assert.deepEqual(recipeOf({ ...IMAGE, driver: 'raw', qcow2: undefined }), {});
  });

  test('a recipe is refused if a copy would lack something, with the reason', () => {
    assert.match(lost({ encrypted: true }), /encrypted/);
    assert.match(lost({ snapshots: 1 }), /snapshots/);
    assert.match(lost({ qcow2: undefined }), /does not report/);
    assert.match(odd({ dataFile: true }), /file of its own/);
    assert.match(odd({ bitmaps: 2 }), /dirty bitmaps/);
    assert.match(odd({ compression: 'lz4' }), /lz4/);
    assert.match(odd({ compat: '2.0' }), /2\.0/);
  });

  test('the result is a recipe or a reason, never both, and can be sent', () => {
    const facts = fc.record({
      clusterBytes: fc.constantFrom(512, 65_536, 2 * 1024 ** 2),
      compat: fc.constantFrom('0.10', '1.1', '3'),
      refcountBits: fc.constantFrom(1, 16, 64),
      lazyRefcounts: fc.boolean(),
      extendedL2: fc.boolean(),
      compression: fc.constantFrom('zlib', 'zstd', ''),
      dataFile: fc.boolean(),
      bitmaps: fc.nat(2),
    });
    fc.assert(
      fc.property(facts, fc.nat(2), fc.boolean(), (qcow2, snapshots, encrypted) => {
        const { make, lost: reason } = recipeOf({ ...IMAGE, qcow2, snapshots, encrypted });
        assert.notEqual(make === undefined, reason === undefined);
        if (make !== undefined) recipe.parse(make);
      }),
    );
  });
});
