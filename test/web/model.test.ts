import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FleetChange } from '../../web/src/base/news.ts';
import { FleetModel } from '../../web/src/fleet/model.ts';
import { piecesOf } from '../../web/src/fleet/pieces.ts';
import type { Overview } from '../../src/protocol/controller/overview.ts';
import { changes, overviews, take } from './fleet-samples.ts';

const GUEST = { driver: 'qemu', nics: [], devices: [], unmovable: [], memoryBytes: 1 };

const ONE: Overview = {
  at: '2026-11-23T09:00:00Z',
  hosts: [
    ['a', 'up', 4, 100, 50, 0.5, null, 0, 1],
    ['b', 'up', 4, 100, 50, 0.5, null, 0, 0],
  ],
  guests: [['web1', 0, 1, 'running']],
};

const MOVING = {
  migration: 'm-0123456789ab',
  moving: { from: 'a', to: 'b', runsAt: 'source' as const },
};

const guest = (host: string, state: 'running' | 'migrating' | 'incoming'): FleetChange => ({
  type: 'guest',
  guest: { ...GUEST, name: 'web1', host, state, ...(state === 'running' ? {} : MOVING) },
});

test('a guest that moves to another host has moved once, whichever host is heard first', () => {
  const gone: FleetChange = { type: 'guest-gone', host: 'a', name: 'web1' };
  const orders: FleetChange[][] = [
    [guest('a', 'migrating'), guest('b', 'incoming'), guest('b', 'running'), gone],
    [guest('b', 'incoming'), guest('a', 'migrating'), gone, guest('b', 'running')],
    [gone, guest('b', 'running'), guest('b', 'running')],
  ];
  for (const order of orders) {
    const model = new FleetModel();
    take(model, ONE);
    const moves = order.map((news) => model.apply(news).moved).filter((each) => each !== undefined);
    assert.deepEqual(moves, [{ guest: 'web1', from: 'a', to: 'b' }]);
    assert.deepEqual(model.hosts.get('a')?.guests, []);
    assert.equal(model.hosts.get('b')?.guests[0]?.state, 'running');
  }
});

test('a guest whose migration is rolled back has not moved', () => {
  const model = new FleetModel();
  take(model, ONE);
  const order = [
    guest('a', 'migrating'),
    guest('b', 'incoming'),
    { type: 'guest-gone', host: 'b', name: 'web1' } as const,
    guest('a', 'running'),
  ];
  assert.deepEqual(
    order.map((news) => model.apply(news).moved),
    [undefined, undefined, undefined, undefined],
  );
});

test('a silent host has no load figures', () => {
  const model = new FleetModel();
  take(model, ONE);
  model.apply({
    type: 'host',
    host: { name: 'a', address: 'a:1', state: 'silent', since: '', guests: 1 },
  });
  assert.equal(model.hosts.get('a')?.processorShare, undefined);
  assert.equal(model.hosts.get('a')?.guests.length, 1);
});

test('each guest is counted once on each host, whatever happens, and a repeated event changes nothing', () => {
  fc.assert(
    fc.property(overviews, fc.array(changes, { maxLength: 30 }), (overview, list) => {
      const model = new FleetModel();
      take(model, overview);
      for (const news of list) {
        model.apply(news);
        const once = JSON.stringify([...model.hosts]);
        const again = model.apply(news);
        assert.equal(again.moved, undefined);
        assert.equal(JSON.stringify([...model.hosts]), once);
      }
      let counted = 0;
      for (const { name, guests } of model.hosts.values()) {
        counted += guests.length;
        assert.equal(new Set(guests.map((each) => each.name)).size, guests.length);
        assert.ok(guests.every(({ host }) => host === name));
      }
      assert.equal(model.guestCount, counted);
    }),
  );
});

test('only changed hosts are new objects, so that only they are drawn again', () => {
  fc.assert(
    fc.property(overviews, changes, (overview, news) => {
      const model = new FleetModel();
      take(model, overview);
      const before = new Map(model.hosts);
      const { change } = model.apply(news);
      const other = [...model.hosts].filter(([name, host]) => before.get(name) !== host);
      // A guest that moves is taken off one host and put on another.
      assert.ok(other.length <= 2);
      if (change === 'nothing') assert.equal(other.length, 0);
    }),
  );
});

test('an overview without news leaves every host the same object', () => {
  fc.assert(
    fc.property(overviews, overviews, (overview, other) => {
      const model = new FleetModel();
      take(model, overview);
      const before = model.hosts;
      take(model, overview);
      for (const [name, host] of model.hosts) assert.equal(host, before.get(name));
      take(model, other);
      const fresh = new FleetModel();
      take(fresh, other);
      assert.deepEqual([...model.hosts], [...fresh.hosts]);
      assert.equal(model.guestCount, fresh.guestCount);
    }),
  );
});

test('a fleet that is being loaded is shown only once it is complete', () => {
  const model = new FleetModel();
  take(model, ONE);
  const draft = model.draft();
  const [first] = piecesOf({ ...ONE, hosts: ONE.hosts.slice(0, 1), guests: [] });
  assert.ok(first !== undefined);
  model.add(draft, first);
  assert.deepEqual([...model.hosts.keys()], ['a', 'b']);
  assert.equal(model.guestCount, 1);
  model.replace(draft);
  assert.deepEqual([...model.hosts.keys()], ['a']);
  assert.equal(model.guestCount, 0);
});

test('a host whose drain was ended on this page is open at once, and its guests stay', () => {
  const model = new FleetModel();
  take(model, ONE);
  model.drain(new Set(['a']));
  assert.equal(model.hosts.get('a')?.draining, true);
  model.open('a');
  model.open('unknown');
  assert.equal(model.hosts.get('a')?.draining, false);
  assert.equal(model.hosts.get('a')?.guests.length, 1);
  assert.equal(model.hosts.has('unknown'), false);
});
