import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  judgeVolume,
  neededBytes,
  type Store,
  type Volume,
  type VolumeRequest,
} from '../../../src/disks/volumes/store.ts';

const MIB = 1024 ** 2;
const NAMES = ['a', 'b', 'c'];
const MARKS = ['m-00000001', 'm-00000002'];

const volume = fc.record({
  name: fc.constantFrom(...NAMES),
  bytes: fc.integer({ min: 1, max: 8 }).map((each) => each * MIB),
  mark: fc.option(fc.constantFrom(...MARKS), { nil: undefined }),
});
const store: fc.Arbitrary<Store> = fc.record({
  volumes: fc.uniqueArray(volume, { selector: ({ name }) => name }),
  freeBytes: fc.nat(),
  unitBytes: fc.constantFrom(1, MIB, 4 * MIB),
});
const wanted: fc.Arbitrary<VolumeRequest> = fc.record({
  name: fc.constantFrom(...NAMES),
  bytes: fc.oneof(
    fc.integer({ min: 0, max: 8 }).map((each) => each * MIB),
    fc.nat(),
  ),
  migration: fc.option(fc.constantFrom(...MARKS), { nil: undefined }),
});

describe('a volume for a copy', () => {
  test('a volume is created only if its name is free, and always with the size of the disk', () => {
    fc.assert(
      fc.property(store, wanted, (has, asks) => {
        const there = has.volumes.find(({ name }) => name === asks.name);
        const judged = judgeVolume(has, asks, `vg0/${asks.name}`);
        if (judged === 'make') {
          assert.equal(there, undefined);
          assert.ok(asks.bytes > 0 && asks.bytes % has.unitBytes === 0);
        } else if (judged === 'made') {
          assert.deepEqual([there?.mark, there?.bytes], [asks.migration, asks.bytes]);
          assert.notEqual(asks.migration, undefined);
        } else {
          assert.ok(judged.reason.length > 0 && judged.hint.length > 0);
        }
      }),
    );
  });

  test('a foreign or unmarked volume is never taken for one of this migration', () => {
    const has = (each: Partial<Volume>): Store => ({
      volumes: [{ name: 'a', bytes: MIB, mark: undefined, ...each }],
      freeBytes: 0,
      unitBytes: MIB,
    });
    const asks = { name: 'a', bytes: MIB, migration: MARKS[0] };
    assert.equal(judgeVolume(has({ mark: MARKS[0] }), asks, 'vg0/a'), 'made');
    for (const other of [{}, { mark: MARKS[1] }, { mark: MARKS[0], bytes: 2 * MIB }]) {
      const judged = judgeVolume(has(other), asks, 'vg0/a');
      assert.ok(typeof judged !== 'string');
      assert.equal(judged.reason, 'vg0/a is there already');
      assert.match(judged.hint, /may hold the only copy of a guest’s last writes/);
      const { mark } = other as Partial<Volume>;
      assert.equal(judged.hint.includes(`Migration ${mark} made it`), mark !== undefined);
    }
    const none = judgeVolume(has({}), { ...asks, migration: undefined }, 'vg0/a');
    assert.ok(typeof none !== 'string');
  });

  test('a volume takes room only if it is yet to be created', () => {
    const has: Store = {
      volumes: [{ name: 'a', bytes: 4 * MIB, mark: MARKS[0] }],
      freeBytes: 0,
      unitBytes: MIB,
    };
    const both = ['a', 'b'].map((name) => ({ name, bytes: 4 * MIB, migration: MARKS[0] }));
    assert.equal(neededBytes(has, both), 4 * MIB);
  });
});
