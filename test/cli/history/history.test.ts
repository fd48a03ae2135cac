import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fleet, guest } from '../../agent/samples.ts';
import { controllerOf } from '../../controller/test-controller.ts';
import { until } from '../../until.ts';
import { askingOf } from '../asking.ts';

test("a controller's history is listed, reported and shown by guest, and limits are shown and set", async (t) => {
  const { host, caDir } = await fleet(t);
  const a = await host('a', {
    guests: () => [guest('web1')],
    peers: { b: { address: '127.0.0.1:1' } },
  });
  const hosts = { a: { address: a.agent.address, addresses: [] } };
  const { controller, api } = await controllerOf(t, caDir, { hosts });
  const ask = askingOf(controller);
  const run = (...words: string[]) => ask(words.join(' '));
  assert.equal((await run('migrations')).out, 'no migrations\n');
  assert.equal((await run('stats')).out, 'no migrations\n');
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  await a.movers.fail(id);
  await until('its end in the history', 20_000, async () =>
    (await api.migrations()).migrations[0]?.state === 'ended' ? true : undefined,
  );
  assert.match((await run('migrations')).out, new RegExp(`${id} +web1 +a +b +cancelled`));
  assert.equal((await run('migrations', '-q', '--state', 'cancelled')).out, `${id}\n`);
  assert.equal((await run('migrations', '--state', 'running')).out, 'no migrations\n');
  const report = await run('report', id, '--json');
  assert.equal((JSON.parse(report.out) as { outcome: string }).outcome, 'cancelled', report.err);
  const story = await run('history', 'web1');
  assert.match(story.out, /^a +- +now +it was there before anything that is kept$/m);
  assert.match(story.out, new RegExp(`${id} to b: cancelled`));
  // One answer is for all who ask, and was made before: the next one comes within seconds.
  await until('its end in the statistics', 20_000, async () =>
    (await run('stats')).out.includes('1 migrations: 1 cancelled') ? true : undefined,
  );
  assert.match((await run('stats', '--prediction')).out, /no migration that was predicted/);
  for (const nobody of ['m-00000000', 'm-nope', 'nope']) {
    const { exit, err } = await run('report', nobody);
    assert.equal(exit, 3, err);
    assert.match(err, new RegExp(`no migration ${nobody} on any host`));
  }
  assert.notEqual((await run('history', 'nobody')).exit, 0);

  assert.match((await run('limits')).out, /each host +4 +4/);
  assert.match((await run('limits', 'set', 'host:a', 'out=2')).out, /^a +2 +4/m);
  assert.match((await run('limits', 'set', 'fleet=7')).out, /the fleet +7/);
  assert.match((await run('limits', 'set', 'in=1')).out, /each host +4 +1/);
  assert.match((await run('limits', 'set', 'fleet=usual')).out, /the fleet +1000/);
  assert.match((await run('limits', 'set', 'host:zz', 'out=2')).err, /zz/);
  for (const wrong of ['fleet=many', 'fleet=-1', 'hosts=3', 'link:a=1'])
    assert.equal((await run('limits', 'set', wrong)).exit, 2, wrong);
});
