import assert from 'node:assert/strict';
import { mkdirSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { fleet } from '../samples.ts';

/** Leftovers of a host with the directory of one guest, where its driver says that of it. */
async function leftoversWhere(t: TestContext, mayLive: boolean) {
  const guestDirectory = () => Promise.resolve({ mayLive, unsettled: false });
  const { api, config } = await (await fleet(t)).host('a', { driver: { guestDirectory } });
  const dir = path.join(config.stateDir, 'guests', 'web1');
  mkdirSync(dir, { recursive: true });
  // What lies for a while is no guest that is just being built.
  utimesSync(dir, 1, 1);
  const { leftovers } = await api.leftovers();
  return { dir, found: leftovers.map(({ what }) => what) };
}

test("a guest's directory is kept while its driver reports a possible hypervisor there", async (t) => {
  assert.deepEqual((await leftoversWhere(t, true)).found, []);
});

test("a guest's directory is a leftover once its driver reports no hypervisor there", async (t) => {
  const { dir, found } = await leftoversWhere(t, false);
  assert.deepEqual(found, [dir]);
});
