import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { managedText, type ManagedFacts } from '../../../src/controller/inventory/managed-facts.ts';
import { crowdedIn, list, set } from './crowded.ts';
import type { Scene } from './scene.ts';

/** As each guest's host reports it. */
async function labelled(
  { store }: Scene,
  labelsOf: (guest: string) => Readonly<Record<string, string>>,
): Promise<void> {
  for (const { name, info } of await store.db.selectFrom('guests').selectAll().execute()) {
    const all = { ...(JSON.parse(info) as object), labels: labelsOf(name) };
    await store.db
      .updateTable('guests')
      .set({ info: JSON.stringify(all) })
      .where('name', '=', name)
      .execute();
  }
}

/** A host is asked for more than it has, and something keeps every guest there: what the policy says of it. */
async function refusals(t: TestContext, keep: (scene: Scene) => Promise<unknown>): Promise<string> {
  const scene = await crowdedIn(t, { sqlite: ':memory:' });
  await set(scene, { mode: 'automatic' });
  await keep(scene);
  await scene.turn('balance');
  await scene.carry();
  assert.deepEqual([await list(scene), scene.begun], [[], []]);
  const [policy] = await scene.policies.list();
  return (policy?.look?.refusals ?? []).join('\n');
}

test('a policy that owners keep from every move names the label and a guest', async (t) => {
  const words = await refusals(t, (scene) =>
    labelled(scene, () => ({ 'godwit/never-move': 'true' })),
  );
  assert.match(words, /^a: is asked for more .* a\d: its label godwit\/never-move says so$/m);
});

test('guests whose owners allow moves only at other hours are named with that label', async (t) => {
  const hour = new Date(Date.now() + 6 * 3_600_000).toISOString().slice(11, 13);
  const words = await refusals(t, (scene) =>
    labelled(scene, () => ({ 'godwit/window': `${hour}:00-${hour}:59` })),
  );
  assert.match(words, /a\d: its label godwit\/window forbids it now$/m);
});

test('guests of a host that its manager balances are named with that manager', async (t) => {
  const facts: ManagedFacts = {
    manager: 'vc1',
    realm: 'vc1',
    maintenanceMode: { moves: 'manager', words: 'DRS of C0', leaves: [] },
  };
  const words = await refusals(t, ({ store }) =>
    store.db
      .updateTable('hosts')
      .set({ managed: managedText(facts) })
      .execute(),
  );
  assert.match(words, /a\d: DRS of C0 moves guests by itself$/m);
});

test('a group that must be apart and has a guest on each host is named as the conflict', async (t) => {
  const words = await refusals(t, (scene) =>
    labelled(scene, () => ({ 'godwit/anti-affinity': 'web' })),
  );
  assert.match(words, /a\d: [bc]: has a guest that it must be apart from$/m);
});

test('a budget that no guest fits is named, and not the missing resources of the guests', async (t) => {
  const words = await refusals(t, (scene) => set(scene, { mode: 'automatic', bytesPerHour: 1 }));
  assert.match(words, /the budget of this plan is used up/);
});

test('hosts without memory for any guest are named', async (t) => {
  const words = await refusals(t, ({ store }) =>
    store.db
      .updateTable('hosts')
      .set({ memory_available_bytes: 1 })
      .where('name', '!=', 'a')
      .execute(),
  );
  assert.match(words, /a\d: [bc]: has too little memory/);
});
