import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  Circle,
  fairShares,
  nextAsks,
  outdatedRows,
  rotated,
  type StandbyAsk,
} from '../../../src/controller/recover/next-asks.ts';
import { MAX_ROWS, type StandbyRow } from '../../../src/controller/store/standbys.ts';
import { names } from './scene.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const NONE: ReadonlySet<string> = new Set();
const HOUR_MS = 3_600_000;
const ALL = { after: undefined, max: Infinity, resting: NONE };

const row = (guest: string, to: string, isKept: boolean, ageMs = 0): StandbyRow => {
  return { guest, to, isKept, ageMs };
};

/** A row that counts how often it is looked at. */
function counted(each: StandbyRow, count: () => void): StandbyRow {
  return {
    get guest() {
      count();
      return each.guest;
    },
    to: each.to,
    isKept: each.isKept,
    ageMs: each.ageMs,
  };
}

/** The hashes and looks at rows that it takes to find the next asks, where each guest was refused by some hosts. */
function workOf(guests: number, hosts: number, refusals: number, isFull: boolean) {
  let [hashes, visits] = [0, 0];
  const up = names('h', hosts);
  const circle = new Circle(up, (text) => {
    hashes += 1;
    return sha256(text);
  });
  const all = names('x', guests);
  const rows = all.flatMap((guest) =>
    up.slice(1, 1 + refusals).map((to) => counted(row(guest, to, isFull), () => (visits += 1))),
  );
  const asks = nextAsks({ host: 'h00000', guests: all, rows }, { ...ALL, circle, max: 64 });
  return { hashes, visits, asks: asks.length };
}

test('the next questions take one hash per host, one per requested guest, and one look at each row', () => {
  assert.deepEqual(workOf(1000, 100, 0, false), { hashes: 164, visits: 0, asks: 64 });
  assert.deepEqual(workOf(1000, 1000, 0, false), { hashes: 1064, visits: 0, asks: 64 });
  assert.deepEqual(workOf(1000, 100, 5, true), { hashes: 100, visits: 5000, asks: 0 });
  assert.deepEqual(workOf(1000, 6, 5, false), { hashes: 6, visits: 5000, asks: 0 });
});

test('a guest is requested at most once, from a host that is up and does not rest', () => {
  const circle = new Circle(['a', 'b', 'c', 'd'], sha256);
  const source = { host: 'a', guests: ['web1', 'web2'], rows: [row('web1', 'b', true)] };
  const asks = nextAsks(source, { ...ALL, circle, resting: new Set(['c', 'gone']) });
  assert.deepEqual(
    asks.map(({ guest }) => guest),
    ['web1', 'web2'],
  );
  assert.equal(asks[0]?.to, 'd');
  assert.ok(['b', 'd'].includes(asks[1]?.to ?? ''));
  const resting = new Set(['b', 'c', 'd']);
  assert.deepEqual(nextAsks(source, { ...ALL, circle, resting }), []);
  assert.deepEqual(nextAsks(source, { ...ALL, circle: new Circle(['a'], sha256) }), []);
});

test('a guest that two hosts keep is requested after an hour from the host that kept it longest', () => {
  const circle = new Circle(['a', 'b', 'c', 'd'], sha256);
  const ask = (...rows: StandbyRow[]) =>
    nextAsks({ host: 'a', guests: ['web1'], rows }, { ...ALL, circle })[0]?.to;
  assert.equal(ask(row('web1', 'b', true), row('web1', 'c', true, HOUR_MS - 1)), undefined);
  assert.equal(ask(row('web1', 'b', true), row('web1', 'c', true, HOUR_MS)), 'c');
  assert.equal(ask(row('web1', 'b', true, HOUR_MS), row('web1', 'c', true, 2 * HOUR_MS)), 'c');
  // A host that is down keeps nothing now.
  assert.match(ask(row('web1', 'b', true), row('web1', 'z', true)) ?? '', /^[cd]$/);
});

test('guests spread over the fleet, and neighbors of a rack are not next to each other', () => {
  const up = names('h', 20);
  const circle = new Circle(up, sha256);
  const source = { host: 'h00000', guests: names('x', 1900), rows: [] };
  const asks = nextAsks(source, { ...ALL, circle });
  const counts = Map.groupBy(asks, ({ to }) => to);
  assert.equal(counts.size, 19);
  for (const [to, own] of counts) assert.ok(own.length < 300, `${own.length} of 1900 at ${to}`);
  assert.notDeepEqual([...circle.from('a', 'b', up[19])], up);
});

test('each host is asked about each guest in time even if all refuse, and rows stay within their bound', () => {
  const checked = fc.record({
    guests: fc.constantFrom(1, 40, 700, 1024),
    hosts: fc.integer({ min: 2, max: 40 }),
  });
  fc.assert(
    fc.property(checked, ({ guests, hosts }) => {
      const [all, up] = [names('x', guests), names('h', hosts)];
      const circle = new Circle(up, sha256);
      const members = new Set(up);
      const answered = new Map<string, StandbyRow>();
      const pairs = new Set<string>();
      // One look for each ten minutes, and as many asks as it finds.
      for (let look = 0; look < 2 * hosts && pairs.size < guests * (hosts - 1); look += 1) {
        for (const [key, each] of answered)
          answered.set(key, { ...each, ageMs: each.ageMs + 600_000 });
        const gone = outdatedRows({ guests: all, rows: [...answered.values()] }, members);
        for (const { guest, to } of gone) answered.delete(`${guest} ${to}`);
        const source = { host: 'h00000', guests: all, rows: [...answered.values()] };
        for (const { guest, to } of nextAsks(source, { ...ALL, circle })) {
          assert.notEqual(to, 'h00000');
          pairs.add(`${guest} ${to}`);
          answered.set(`${guest} ${to}`, row(guest, to, false));
        }
        assert.ok(answered.size <= MAX_ROWS, `${answered.size} rows`);
      }
      assert.equal(pairs.size, guests * (hosts - 1));
    }),
    { numRuns: 12 },
  );
});

test('a host with few guests may be refused by each host of the fleet at once, one with many by five', () => {
  const up = names('h', 101);
  const circle = new Circle(up, sha256);
  const refusedBy = (guests: number, refusals: number): number => {
    const all = names('x', guests);
    const rows = up.slice(1, 1 + refusals).map((to) => row('x00000', to, false, 1000));
    const asks = nextAsks({ host: 'h00000', guests: all, rows }, { ...ALL, circle });
    return asks.filter(({ guest }) => guest === 'x00000').length;
  };
  assert.equal(refusedBy(10, 99), 1);
  assert.equal(refusedBy(10, 100), 0);
  assert.equal(refusedBy(1024, 4), 1);
  assert.equal(refusedBy(1024, 5), 0);
});

test('rows of other guests, of hosts that left, and the oldest refusals are forgotten', () => {
  const members = new Set(['a', 'b', 'c']);
  const rows = [row('web1', 'b', true), row('web1', 'z', true), row('web2', 'b', false)];
  const gone = (guests: readonly string[] | undefined) =>
    outdatedRows({ guests, rows }, members).map(({ guest, to }) => `${guest} ${to}`);
  assert.deepEqual(gone(['web1']), ['web1 z', 'web2 b']);
  assert.deepEqual(gone(['web1', 'web2']), ['web1 z']);
  // Its guests are unknown while a host is silent.
  assert.deepEqual(gone(undefined), ['web1 z']);

  const up = names('h', 20);
  const many = up.map((to, at) => row('x00000', to, at >= 18, at));
  const left = outdatedRows({ guests: names('x', 1024), rows: many }, new Set(up));
  assert.deepEqual(
    left.map(({ to }) => to),
    up.slice(5, 18),
  );
});

test('the order of names is a circle that starts after the last one', () => {
  const all = ['a', 'b', 'd'];
  assert.deepEqual(rotated(all, undefined), ['a', 'b', 'd']);
  assert.deepEqual(rotated(all, 'a'), ['b', 'd', 'a']);
  assert.deepEqual(rotated(all, 'c'), ['d', 'a', 'b']);
  assert.deepEqual(rotated(all, 'd'), ['a', 'b', 'd']);
});

test('each host has its share of the questions, however many another host has', () => {
  const of = (host: string, count: number): StandbyAsk[] =>
    names('x', count).map((guest) => ({ host, guest, to: 'z' }));
  const sizes = (hosts: StandbyAsk[][], max: number) =>
    fairShares(hosts, max).map((share) => `${share[0]?.host} ${share.length}`);
  assert.deepEqual(sizes([of('evil', 1000), of('a', 2), of('b', 0), of('c', 40)], 64), [
    'evil 31',
    'a 2',
    'c 31',
  ]);
  assert.deepEqual(sizes([of('a', 3), of('b', 1)], 64), ['a 3', 'b 1']);
  assert.deepEqual(sizes([of('a', 3), of('b', 1), of('c', 5)], 2), ['a 1', 'b 1']);
});
