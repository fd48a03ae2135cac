import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { fleet, guest } from '../../agent/samples.ts';
import { controllerOf } from '../../controller/test-controller.ts';
import { until } from '../../until.ts';
import { askingOf } from '../asking.ts';

/** A controller of host a at site s1 and host b at s2, with a line of 100 Mbit/s between, and `godwit` that asks it. */
async function asking(t: TestContext) {
  const { host, caDir } = await fleet(t);
  const b = await host('b', { site: 's2' });
  const guests = [
    guest('apple', { labels: { 'godwit/priority': '-5' } }),
    guest('pear', { labels: { 'godwit/priority': '20' } }),
  ];
  const peers = { b: { address: b.agent.address } };
  const a = await host('a', { site: 's1', guests: () => guests, peers });
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    b: { address: b.agent.address, addresses: [] },
  };
  const { controller, api } = await controllerOf(t, caDir, {
    hosts,
    sites: { s1: { networks: [] }, s2: { networks: [] } },
    siteLinks: [{ between: ['s1', 's2'], bytesPerS: 12_500_000, roundTripMs: 50, costPerGb: 0.09 }],
  });
  await until('the hosts to be followed', 20_000, async () => {
    const { hosts: all } = await api.hosts();
    return all.length === 2 && all.every(({ state }) => state === 'up') ? true : undefined;
  });
  const run = askingOf(controller, { clock: systemClock });
  return { a, run };
}

test('an evacuation of a site shows its plan, the remaining guests and the cost, most important guest first', async (t) => {
  const { a, run } = await asking(t);
  assert.match((await run('hosts')).out, /HOST +SITE +STATE.*\na +s1 +up.*\nb +s2 +up/s);
  const dry = await run('evacuate --site s1 --to s2 --dry-run');
  assert.equal(dry.exit, 0, dry.err);
  assert.match(dry.out, /pear +a → b +pre-copy +in 0 ms.*\napple +a → b +pre-copy/s);
  assert.match(dry.out, /2 moves, 1 at a time/);
  assert.match(dry.out, /over 11\.9 MiB\/s, round trip 50 ms, which cost 0\.\d\d/);
  const short = await run('evacuate --site s1 --to s2 --deadline 2s --dry-run');
  assert.equal(short.err, '');
  assert.match(short.out, /stays: pear on a: it needs .* before the deadline/);
  assert.deepEqual(a.movers.started, []);
  const begun = await run('evacuate --site s1 --to s2 --deadline 1h --yes --detach');
  assert.equal(begun.exit, 0, begun.err);
  await until('the move to begin', 20_000, async () => {
    return a.movers.started.length === 1 ? true : undefined;
  });
  assert.match((await run('requests')).out, /evacuate/);
  const cancelled = await run('evacuate --site s1 --cancel --roll-back');
  assert.match(cancelled.out, /moves in progress are rolled back/);
});

test('an evacuation names an unknown site, and reports what is missing', async (t) => {
  const { run } = await asking(t);
  const unknown = await run('evacuate --site s9 --to s2');
  assert.equal(unknown.exit, 2);
  assert.match(unknown.err, /no host is at the site s9.*Did you mean/s);
  assert.match((await run('evacuate --site s1')).err, /--to names no site/);
  assert.match(
    (await run('evacuate --site s1 --to s1 --dry-run')).err,
    /no line between s1 and s1/,
  );
});
