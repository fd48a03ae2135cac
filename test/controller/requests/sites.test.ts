import assert from 'node:assert/strict';
import { test } from 'node:test';
import { previewOf, storedWorld } from '../../../src/controller/requests/preview.ts';
import type { SiteLink } from '../../../src/controller/site-map.ts';
import type { FleetRequestAsk } from '../../../src/protocol/controller/fleet-request.ts';
import { drainOf, GIB, guest, host, world } from './worlds.ts';

const THIN: SiteLink = {
  between: ['s1', 's2'],
  bytesPerS: 12_500_000,
  roundTripMs: 50,
  costPerGb: 0,
};
const hosts = [
  host('a', { site: 's1' }),
  host('near', { site: 's1', memoryBytes: 3 * GIB }),
  host('far', { site: 's2' }),
];
const guests = ['g1', 'g2', 'g3', 'g4'].map((name) => guest(name, 'a'));

const planOf = (ask: Partial<FleetRequestAsk> = {}, siteLinks: readonly SiteLink[] = [THIN]) => {
  const request = drainOf('a', ask);
  return previewOf(request, storedWorld(request, world({ hosts, guests, siteLinks })));
};

test('a drain leaves guests in place before it chooses another site for them', () => {
  const { steps, waiting } = planOf();
  assert.deepEqual(new Set(steps.map(({ to }) => to)), new Set(['near']));
  assert.equal(steps.length, 3);
  assert.equal(waiting.length, 1);
});

test('a guest that has room only at another site stays, with that reason', () => {
  const fleet = { hosts: hosts.filter(({ name }) => name !== 'near'), guests };
  const request = drainOf('a');
  const { steps, waiting } = previewOf(request, storedWorld(request, world(fleet)));
  assert.deepEqual(steps, []);
  assert.match(waiting[0]?.words ?? '', /another site/);
});

test('a drain uses hosts of another site if they were named for it', () => {
  const { steps } = planOf({ to: ['far'] });
  assert.deepEqual(
    steps.map(({ to }) => to),
    ['far', 'far', 'far', 'far'],
  );
});

test('two moves between the same sites share the link between them', () => {
  const ask = { to: ['far'] };
  const needed = (4 * GIB) / THIN.bytesPerS;
  assert.ok(planOf(ask).seconds >= needed);
  assert.ok(planOf(ask, []).seconds < needed / 2);
});
