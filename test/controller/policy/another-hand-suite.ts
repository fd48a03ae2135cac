import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StorePlace } from '../../../src/controller/store/open.ts';
import { crowdedIn, list, set } from './crowded.ts';

/** Who else moves guests, whatever keeps the policy. `make` gives an empty database of its own to each test. */
export function anotherHandSuite(name: string, make: () => Promise<StorePlace>): void {
  describe(`a policy in ${name} with guests that another party moves`, () => {
    test('an automatic policy leaves guests alone while another party moves them', async (t) => {
      const scene = await crowdedIn(t, await make());
      await set(scene, { mode: 'automatic' });
      scene.put('c', { b1: 0.5 });
      await scene.watch(1);
      scene.put('b', { c1: 0.5 });
      await scene.watch(1);
      await scene.turn('balance');
      await scene.carry();
      assert.deepEqual(scene.begun, []);
      const words = (await scene.policies.list())[0]?.look?.words ?? '';
      assert.match(words, /left alone: somebody else moves guests here: 2 moves/);
      await set(scene, { mode: 'propose' });
      await scene.turn('balance');
      assert.equal((await list(scene)).length, 1);
    });

    test("migrations that people requested from agents count as Godwit's own", async (t) => {
      const scene = await crowdedIn(t, await make());
      await set(scene, { mode: 'automatic' });
      // Within the looks between which each is seen to move, wherever those begin.
      for (const [guest, source, destination, minutesAgo] of [
        ['b1', 'b', 'c', 12],
        ['c1', 'c', 'b', 8],
      ] as const) {
        scene.put(destination, { [guest]: 0.5 });
        await scene.watch(1);
        await scene.reported(
          { id: `m-${guest}000000`, guest, source, destination },
          Date.now() - minutesAgo * 60_000,
        );
      }
      await scene.turn('balance');
      await scene.carry();
      assert.equal(scene.begun.length, 1);
    });
  });
}
