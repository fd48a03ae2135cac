import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { assertSays, move, refusalOf } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

describe("a site's check of a moved guest", () => {
  const dir = path.join(tmpdir(), `godwit-site-check-${process.pid}`);
  let world: World;

  before(async () => {
    // Not before: a run of other tests alone reads this file too.
    mkdirSync(dir, { mode: 0o700 });
    for (const host of ['a', 'b']) mkdirSync(path.join(dir, host));
    writeFileSync(path.join(dir, 'ill'), '');
    const check = `#!/bin/sh\n[ "$(cat '${dir}/ill')" = '' ] || { cat '${dir}/ill'; exit 1; }\n`;
    writeFileSync(path.join(dir, 'b', 'check-web'), check, { mode: 0o755 });
    const configure = (host: string) => ({ hooks: { directory: path.join(dir, host) } });
    world = await openWorld('stays', { hosts: 2, configure });
    await startGuest(world.lab, { name: 'web1', host: 'a', ...SMALL_GUEST });
  });
  after(async () => {
    await world?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const asked = { guest: 'web1', from: 'a', to: 'b' } as const;
  const looked = (check: string) => ({ returnIfUnhealthy: { check, withinMs: 20_000 } });

  test("a site's check that the destination lacks is refused by name", async () => {
    const error = await refusalOf(world, { ...asked, ...looked('check-db') });
    assertSays(error, 'GODWIT_CAPABILITY', 'b has no executable check-db', 'it has check-web');
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  /** As a host tells it, once its state is that one. */
  const checked = (host: string, id: string, state: string) =>
    until(`${id} to be ${state} at ${host}`, 60_000, async () => {
      const report = await world.agent(host).report({ params: { id } });
      return report.siteCheck?.state === state ? report : undefined;
    });

  test('a guest whose check fails goes back by a separate migration, as both reports show', async () => {
    const { id } = await move(world, { ...asked, ...looked('check-web') });
    await checked('a', id, 'watching');
    await stopAgent(world.lab, 'b', 'SIGKILL');
    await startAgent(world.lab, 'b');
    writeFileSync(path.join(dir, 'ill'), 'no page');
    await checked('b', id, 'returned');
    writeFileSync(path.join(dir, 'ill'), '');
    await assertOnlyGuests(world, { a: ['web1'] });
    for (const host of ['a', 'b']) {
      const { returned } = await world.agent(host).report({ params: { id } });
      assert.equal(returned?.why, 'check-web ended with 1: no page (3 failures in a row)', host);
      const back = await world.agent(host).report({ params: { id: returned?.migration ?? '' } });
      assert.deepEqual([back.from, back.to, back.outcome], ['b', 'a', 'done']);
      assert.deepEqual(back.returns, { migration: id, why: returned?.why });
    }
  });

  test('a guest whose check is cancelled at its source stays at its new host, however ill', async () => {
    const { id } = await move(world, { ...asked, ...looked('check-web') });
    await checked('b', id, 'watching');
    const answer = await world.agent('a').cancel({ params: { id }, query: {} });
    assert.deepEqual(answer, { accepted: true, what: 'web1 stays on b: it is checked no more' });
    assert.equal((await checked('a', id, 'cancelled')).returned, undefined);
    await assertOnlyGuests(world, { b: ['web1'] });
  });
});
