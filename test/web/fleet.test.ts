import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { OverviewHost } from '../../src/protocol/controller/overview.ts';
import { blocksIn, LINE_PX, linesFor, SMALL_PX } from '../../web/src/fleet/blocks.ts';
import { hostsFor, memoryShare, ORDERS, totalsOf } from '../../web/src/fleet/filter.ts';
import { FleetModel, type GuestView } from '../../web/src/fleet/model.ts';
import { agoText, aheadText, counted, percentText } from '../../web/src/base/text.ts';
import { overviews, take } from './fleet-samples.ts';

const guests: fc.Arbitrary<GuestView[]> = fc
  .array(
    fc.constantFrom('running', 'migrating', 'incoming').map((state) => ({ state })),
    { maxLength: 300 },
  )
  .map((list) =>
    list.map(({ state }, at) => ({
      name: `g${at}`,
      host: 'a',
      state: state as GuestView['state'],
      memoryBytes: 1,
    })),
  );

test('blocks of a card fit into its lines, in order, and the number of omitted ones is shown', () => {
  const spaces = fc.record({
    width: fc.integer({ min: 100, max: 600 }),
    lines: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(guests, spaces, (list, space) => {
      const { shown, hidden, size } = blocksIn(list, space);
      assert.equal(shown.length + hidden, list.length);
      const places = list.filter((each) => shown.includes(each));
      assert.deepEqual(shown, places);
      const perLine = Math.floor(space.width / SMALL_PX);
      if (size === 'small') assert.ok(shown.length + (hidden > 0 ? 2 : 0) <= perLine * space.lines);
      const moving = list.filter(({ state }) => state !== 'running');
      if (moving.length <= perLine * space.lines - 2)
        assert.ok(
          moving.every((each) => shown.includes(each)),
          'a guest that moves is in sight',
        );
    }),
  );
  assert.ok(LINE_PX >= 24 && SMALL_PX >= 24);
});

test('a card has as many lines as its guests need with their names, up to a limit', () => {
  assert.equal(linesFor(0, 300, 8), 1);
  assert.equal(linesFor(3, 300, 8), 1);
  assert.equal(linesFor(4, 300, 8), 2);
  assert.equal(linesFor(1000, 300, 8), 8);
});

test('a filter omits no matching host and shows none twice, in every order', () => {
  const filters = fc.record({
    text: fc.constantFrom('', 'h', 'h1', 'G2', 'nothing'),
    shown: fc.constantFrom(undefined, 'up', 'silent', 'draining', 'attention'),
    order: fc.constantFrom(...ORDERS),
  });
  fc.assert(
    fc.property(overviews, filters, (overview, filter) => {
      const model = new FleetModel();
      take(model, overview);
      const found = hostsFor(model.hosts.values(), filter);
      const all = hostsFor(model.hosts.values(), { text: '', shown: undefined, order: 'name' });
      assert.equal(all.length, model.hosts.size);
      assert.equal(new Set(found).size, found.length);
      const part = filter.text.toLowerCase();
      for (const host of all) {
        const fits =
          (host.name.includes(part) || host.guests.some(({ name }) => name.includes(part))) &&
          (filter.shown === undefined ||
            (filter.shown === 'draining' && host.draining) ||
            (filter.shown === 'attention' && host.state !== 'up') ||
            filter.shown === host.state);
        assert.equal(found.includes(host), fits);
      }
    }),
  );
});

test('hosts are in natural order', () => {
  const model = new FleetModel();
  const host = (name: string): OverviewHost => [name, 'up', 1, 1, 1, null, null, 0, 0];
  take(model, { at: '', hosts: [host('h10'), host('h2'), host('h1')], guests: [] });
  const found = hostsFor(model.hosts.values(), { text: '', shown: undefined, order: 'name' });
  assert.deepEqual(
    found.map(({ name }) => name),
    ['h1', 'h2', 'h10'],
  );
});

test('totals omit the figures of silent hosts', () => {
  const model = new FleetModel();
  take(model, {
    at: '',
    hosts: [
      ['a', 'up', 4, 100, 25, 0.5, null, 1, 2],
      ['b', 'silent', 4, 100, 0, 1, null, 0, 1],
      ['c', 'up', null, null, null, null, null, 0, 0],
    ],
    guests: [
      ['x', 0, 1, 'migrating'],
      ['y', 0, 1, 'running'],
      ['z', 1, 1, 'running'],
    ],
  });
  const {
    guests: all,
    moving,
    draining,
    memoryBytes,
    memoryUsedBytes,
    cores,
    coresUsed,
  } = totalsOf(model.hosts.values());
  assert.deepEqual([all, moving, draining], [3, 1, 1]);
  assert.deepEqual([memoryBytes, memoryUsedBytes, cores, coresUsed], [100, 75, 4, 2]);
  assert.equal(memoryShare({ memoryBytes: 0, memoryAvailableBytes: 0 }), undefined);
});

test('figures are never rounded to nothing or to everything', () => {
  assert.deepEqual([0, 0.001, 0.425, 0.996, 1].map(percentText), [
    '0 %',
    '< 1 %',
    '43 %',
    '99 %',
    '100 %',
  ]);
  assert.deepEqual([0, 12_000, 190_000, 1e7, 1e9].map(agoText), [
    'now',
    '12 s ago',
    '3 min ago',
    '2 h ago',
    '11 d ago',
  ]);
  assert.deepEqual([0, 12_000, 190_000].map(aheadText), ['now', 'in 12 s', 'in 3 min']);
  assert.deepEqual([counted(1, 'guest'), counted(1200, 'guest')], ['1 guest', '1,200 guests']);
});
