import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { planRun } from '../../meddle/draw.ts';
import { inOrder, isOfDisk, MOMENTS, OPERATIONS, plan, planWords } from '../../meddle/plan.ts';

const seeds = fc.integer({ min: 0, max: 2 ** 31 });

describe('the plan of a run', () => {
  test('a seed always makes the same plan, and the plan survives its file', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const made = planRun(seed);
        assert.deepEqual(planRun(seed), made);
        assert.deepEqual(plan.parse(JSON.parse(JSON.stringify(made))), made);
      }),
    );
  });

  test('operations are in the order of their moments, and a guest without disks has none for disks', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { operations, scene } = planRun(seed);
        assert.ok(operations.length >= 1);
        assert.deepEqual(operations, inOrder(operations));
        if (scene.layout !== 'none') return;
        assert.deepEqual(
          operations.filter(({ kind }) => isOfDisk(kind)),
          [],
        );
      }),
    );
  });

  test('no run requests a move that Godwit refuses by design: libvirt over the wire other than by pre-copy', () => {
    const scenes = Array.from({ length: 4000 }, (_, seed) => planRun(seed).scene);
    const wired = scenes.filter(({ driver, path }) => driver === 'libvirt' && path === 'wire');
    assert.ok(wired.length > 20);
    assert.deepEqual(new Set(wired.map(({ mode }) => mode)), new Set(['precopy']));
    const native = scenes.filter(({ driver, path }) => driver === 'libvirt' && path === 'native');
    assert.ok(new Set(native.map(({ mode }) => mode)).size > 1);
  });

  test('a few hundred seeds have every operation, every moment, every mode and every layout', () => {
    const all = Array.from({ length: 800 }, (_, seed) => planRun(seed));
    const operations = all.flatMap((each) => each.operations);
    assert.deepEqual(new Set(operations.map(({ kind }) => kind)), new Set(OPERATIONS));
    assert.deepEqual(new Set(operations.map(({ moment }) => moment)), new Set(MOMENTS));
    const scenes = new Set(all.map(({ scene }) => `${scene.mode} ${scene.layout}`));
    assert.equal(scenes.size, 4 * 4);
  });

  test('the text of a plan names each operation with its moment', () => {
    const words = planWords(planRun(1));
    for (const { kind, moment } of planRun(1).operations)
      assert.match(words, new RegExp(`${kind} at ${moment}`));
  });
});
