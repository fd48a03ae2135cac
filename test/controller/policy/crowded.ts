import type { TestContext } from 'node:test';
import type { StorePlace } from '../../../src/controller/store/open.ts';
import { policySettings } from '../../../src/protocol/controller/policy.ts';
import { Scene } from './scene.ts';

/** Three hosts of eight cores; the first one is asked for more than it has, the others have room. */
export async function crowdedIn(t: TestContext, place: StorePlace): Promise<Scene> {
  const scene = await Scene.open(place, ['a', 'b', 'c']);
  t.after(() => scene.store.close());
  scene.put('a', { a1: 3, a2: 2.5, a3: 2, a4: 1.5 });
  scene.put('b', { b1: 0.5 });
  scene.put('c', { c1: 0.5 });
  await scene.watch(6);
  return scene;
}

/** Its proposals. */
export const list = (scene: Scene) => scene.proposals.list({ limit: 100 });
/** Sets the policy `balance` of the fleet. */
export const set = (scene: Scene, more: object) =>
  scene.policies.put(
    'balance',
    'fleet',
    policySettings.parse({ mode: 'propose', ...more }),
    'test',
  );
