import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { eachOnce, isSuperseded, mergeReports } from '../../../src/protocol/public/moving.ts';
import { guest, ID } from '../../cli/fake.ts';

type RunsAt = NonNullable<GuestInfo['moving']>['runsAt'];

function end(host: string, runsAt: RunsAt): GuestInfo {
  return guest('web1', host, {
    state: 'migrating',
    migration: ID,
    moving: { from: 'a', to: 'b', runsAt },
  });
}

describe('a moving guest reported by two hosts', () => {
  for (const [source, destination, runsAt, host] of [
    ['source', 'source', 'source', 'a'],
    ['source', 'unknown', 'source', 'a'],
    ['unknown', 'unknown', 'unknown', 'a'],
    ['unknown', 'destination', 'destination', 'b'],
    ['destination', 'destination', 'destination', 'b'],
  ] as const) {
    test(`a moving guest is one, run by ${runsAt}, if the hosts report ${source} and ${destination}`, () => {
      for (const rows of [
        [end('a', source), end('b', destination)],
        [end('b', destination), end('a', source)],
      ]) {
        const [one, ...others] = eachOnce(rows);
        assert.deepEqual([one?.host, one?.moving?.runsAt, others], [host, runsAt, []]);
      }
    });
  }

  test('a moving guest is listed under its source if only its destination answers and does not run it', () => {
    const [one] = eachOnce([end('b', 'source')]);
    assert.deepEqual([one?.host, one?.moving?.runsAt], ['a', 'source']);
  });
});

test('guests that do not move stay unchanged, even with the same name', () => {
  const some = fc.record({ name: fc.constantFrom('x', 'y'), host: fc.constantFrom('a', 'b') });
  fc.assert(
    fc.property(fc.array(some, { maxLength: 8 }), (all) => {
      const guests = all.map(({ name, host }) => guest(name, host));
      assert.deepEqual(eachOnce(guests), guests);
    }),
  );
});

test('the work for guests of one name grows with their number, not with its square', () => {
  const reads = (count: number): number => {
    let total = 0;
    const counted = (report: GuestInfo): GuestInfo =>
      new Proxy(report, {
        get: (of, key, receiver): unknown => {
          total += 1;
          return Reflect.get(of, key, receiver);
        },
      });
    const all = Array.from({ length: count }, (_, at) => {
      const migration = `m-${String(at).padStart(8, '0')}`;
      const moving = { from: 'c', to: 'a', runsAt: 'source' } as const;
      return at % 2 === 0
        ? guest('web1', 'a', { uuid: `u-${at}` })
        : guest('web1', 'b', { state: 'incoming', migration, moving: { ...moving, to: 'd' } });
    });
    assert.equal(mergeReports(all.map(counted)).length, count / 2 + 1);
    return total;
  };
  assert.ok(reads(2000) < 5 * reads(500), `${reads(500)} and ${reads(2000)} reads`);
});

describe('merging of reports', () => {
  const at = (host: string, more: Partial<GuestInfo> = {}): GuestInfo =>
    guest('web1', host, { uuid: 'u-1', ...more });
  const left = (epoch: number): GuestInfo =>
    at('a', {
      state: 'unknown',
      migration: ID,
      moving: { from: 'a', to: 'b', runsAt: 'destination', epoch },
    });
  const places = (...reports: GuestInfo[]): string[] =>
    mergeReports(reports).map(({ row, others }) =>
      [row.host, ...others.map(({ host }) => host)].join(' over '),
    );

  test('the report with the higher epoch is the newer one', () => {
    assert.deepEqual(places(at('a', { epoch: 4 }), at('b', { epoch: 5 })), ['b over a']);
    assert.deepEqual(places(at('a', { epoch: 6 }), at('b', { epoch: 5 })), ['a over b']);
  });

  test('two running copies with the same epoch, or without any, are two rows', () => {
    assert.deepEqual(places(at('a'), at('b')), ['a', 'b']);
    assert.deepEqual(places(at('a', { epoch: 5 }), at('b', { epoch: 5 })), ['a', 'b']);
  });

  test('guests with one name and different uuids are two rows, whatever their epochs', () => {
    assert.deepEqual(places(at('a', { epoch: 4 }), at('b', { uuid: 'u-2', epoch: 5 })), ['a', 'b']);
  });

  test('containers of managers that share a name are two rows', () => {
    const container = { uuid: undefined, manager: 'docker' };
    assert.deepEqual(places(at('a', container), at('b', { ...container, epoch: 5 })), ['a', 'b']);
  });

  test('a copy without uuid belongs to the guest that its migration brings', () => {
    const moving = { from: 'a', to: 'b', runsAt: 'source' as const, epoch: 5 };
    const copy = at('b', { uuid: undefined, state: 'incoming', migration: ID, moving });
    assert.deepEqual(places(copy, at('a'), at('c', { uuid: 'u-2' })), ['a over b', 'c']);
  });

  test('the host that a guest left no longer counts once another host reports the guest', () => {
    assert.deepEqual(places(left(5)), ['a']);
    assert.deepEqual(places(left(5), at('b', { epoch: 5 })), ['b over a']);
    assert.deepEqual(places(left(5), at('c', { epoch: 6 })), ['c over a']);
    assert.deepEqual(places(left(5), at('c', { epoch: 4 })), ['a over c']);
    assert.ok(isSuperseded(left(5), [at('c', { epoch: 6 })]));
    assert.ok(!isSuperseded(left(5), [at('c', { epoch: 4 })]));
  });

  test('a destination that reports no epoch, as managers do not, is newer than the source of its migration', () => {
    const moving = { from: 'a', to: 'b', runsAt: 'source' as const, epoch: 5 };
    const source = at('a', { state: 'migrating', migration: ID, moving, epoch: 3 });
    assert.deepEqual(places(source, at('b')), ['b over a']);
    assert.deepEqual(places(left(5), at('b')), ['b over a']);
  });

  test('a stopped definition is not a second guest', () => {
    assert.deepEqual(places(at('a', { state: 'stopped' }), at('b')), ['b over a']);
    assert.deepEqual(places(at('a', { state: 'stopped' }), at('b', { state: 'stopped' })), [
      'a',
      'b',
    ]);
  });

  test('the row names a host that reports the guest by an older epoch', () => {
    const [row] = eachOnce([at('a', { epoch: 4 }), at('b', { epoch: 5 })]);
    assert.deepEqual(row?.warnings, ['a reports it as running too, by an older epoch']);
  });

  test('the order of the reports changes nothing', () => {
    const reports = fc.record({
      name: fc.constantFrom('x', 'y'),
      host: fc.constantFrom('a', 'b', 'c'),
      uuid: fc.constantFrom('u-1', 'u-2'),
      state: fc.constantFrom('running', 'incoming', 'migrating', 'stopped', 'unknown'),
      epoch: fc.constantFrom(undefined, 1, 2, 3),
      moving: fc.option(
        fc.record({
          from: fc.constantFrom('a', 'b', 'c'),
          to: fc.constantFrom('a', 'b', 'c'),
          runsAt: fc.constantFrom('source', 'destination', 'unknown'),
          epoch: fc.constantFrom(undefined, 2, 4),
        }),
        { nil: undefined },
      ),
    });
    const lists = fc.uniqueArray(reports, {
      selector: ({ name, host, uuid }) => `${name} ${host} ${uuid}`,
      maxLength: 8,
    });
    fc.assert(
      fc.property(lists, fc.infiniteStream(fc.nat()), (list, keys) => {
        const all = list.map(({ name, host, ...more }) => guest(name, host, more));
        const order = new Map(all.map((each) => [each, keys.next().value ?? 0]));
        const shuffled = all.toSorted(
          (one, other) => (order.get(one) ?? 0) - (order.get(other) ?? 0),
        );
        const rows = (reported: GuestInfo[]) =>
          mergeReports(reported)
            .map(({ row }) => JSON.stringify(row))
            .toSorted();
        assert.deepEqual(rows(shuffled), rows(all));
        const identities = new Set(all.map(({ name, uuid }) => `${name} ${uuid}`));
        const merged = new Set(mergeReports(all).map(({ row }) => `${row.name} ${row.uuid}`));
        assert.deepEqual(merged, identities);
      }),
    );
  });
});
