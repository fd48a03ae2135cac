import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  NO_RATES,
  pastRates,
  type PastMigration,
  type PastRates,
} from '../../../src/controller/history/rates.ts';
import { endedRow, openRow } from '../../../src/controller/history/record.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';
import { Migrations } from '../../../src/controller/store/migrations.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { previewOf } from '../../../src/controller/requests/preview.ts';
import { silentLog } from '../../../src/log.ts';
import { drain, type DrainPlan } from '../../../src/planner/drain/drain.ts';
import { CappedDirector, inventoryOf } from '../../../bench/drain-directors.ts';
import {
  DrainWorld,
  type Director,
  type Scene,
  type View,
} from '../../../sim/fleet/drain-world.ts';
import { Random } from '../../../sim/random.ts';
import { GIB, guest, host } from '../../planner/inventories.ts';
import { drainOf, guest as guestFacts, host as hostFacts, world } from '../requests/worlds.ts';
import { summary } from './hosts.ts';

const MIB = 1024 * 1024;

const past = (more: Partial<PastMigration> = {}): PastMigration => ({
  guest: 'g1',
  source: 'a',
  destination: 'b',
  endedAtMs: 10_000,
  totalMs: 10_000,
  linkRate: 100 * MIB,
  dirtyRate: 7,
  ...more,
});

test("the bytes of simultaneous migrations over the same link count for the link's rate", () => {
  const alone = pastRates([past()]);
  assert.deepEqual([...alone.pairs], [['a>b', 100 * MIB]]);
  const beside = pastRates([past(), past({ guest: 'g2' })]);
  assert.deepEqual([...beside.pairs], [['a>b', 200 * MIB]]);
  // For half of its time, and at about the same rate: they share the link of their source.
  const half = past({ guest: 'g2', destination: 'c', totalMs: 5000, linkRate: 80 * MIB });
  assert.equal(pastRates([past(), half]).pairs.get('a>b'), 140 * MIB);
  // Much slower: what held it back was its own destination.
  const slow = past({ guest: 'g2', destination: 'c', linkRate: 30 * MIB });
  const both = pastRates([past(), slow]);
  assert.deepEqual([both.pairs.get('a>b'), both.pairs.get('a>c')], [130 * MIB, 30 * MIB]);
  assert.deepEqual([both.links.get('a'), both.links.get('c')], [130 * MIB, 30 * MIB]);
});

test("a guest that was finished before its link was full says nothing about the link's rate", () => {
  const idle = past({ guest: 'idle', totalMs: 1000, linkRate: 5 * MIB });
  assert.deepEqual([...pastRates([idle]).pairs], []);
  assert.equal(pastRates([idle, past()]).pairs.get('a>b'), 100 * MIB);
  assert.equal(pastRates([idle]).dirty.get('idle'), 7, 'what it wrote is known all the same');
});

test('rates come from the newest migrations, whatever the history is, and none is invented', () => {
  const rate = fc.option(fc.integer({ min: 0, max: 1_000 * MIB }), { nil: null });
  const name = fc.constantFrom('a', 'b', 'c');
  const migration = fc
    .record({ guest: name, source: name, destination: name, linkRate: rate, dirtyRate: rate })
    .chain((each) =>
      fc
        .record({ endedAtMs: fc.nat(100_000), totalMs: fc.nat(10_000) })
        .map((times) => ({ ...each, ...times })),
    );
  fc.assert(
    fc.property(fc.array(migration, { maxLength: 40 }), (all) => {
      const { dirty, links, pairs } = pastRates(all);
      for (const [of, amount] of dirty)
        assert.ok(all.some((each) => each.guest === of && each.dirtyRate === amount));
      const most = all.reduce((sum, { linkRate }) => sum + (linkRate ?? 0), 0);
      for (const [pair, amount] of pairs) {
        const [from = '', to = ''] = pair.split('>');
        const own = all.filter((each) => each.source === from && each.destination === to);
        assert.ok(amount >= Math.min(...own.flatMap(({ linkRate }) => linkRate || [])));
        assert.ok(amount <= most * 1.000_001);
        assert.ok((links.get(from) ?? 0) >= amount && (links.get(to) ?? 0) >= amount);
      }
    }),
  );
});

test('the database has the migrations that completed, and a plan names its figures from history', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const shard = shardOf('a');
  const lease = { shard, owner: 'one', epoch: 1, lease_until: Date.now() + 600_000 };
  await store.db.insertInto('host_leases').values(lease).execute();
  const migrations = new Migrations(store);
  const nowMs = await migrations.nowMs();
  const rates = { link_rate: 5e6, dirty_rate: 3e6, total_ms: 100_000 };
  const rows = (['done', 'failed'] as const).map((phase, nth) => {
    const reported = summary(nth, { phase, guest: phase });
    return { ...endedRow(openRow(reported, 'a', nowMs), reported, { nowMs }), ...rates };
  });
  await migrations.write(new Map([[shard, 1]]), 'a', rows);
  const read = pastRates(await migrations.rates(10));
  assert.deepEqual([...read.dirty], [['done', 3e6]]);
  assert.deepEqual([...read.pairs], [['a>b', 5e6]]);
  const fleet = { hosts: [hostFacts('a'), hostFacts('b')], guests: [guestFacts('done', 'a')] };
  const blind = previewOf(drainOf('a'), world(fleet));
  assert.equal(blind.fromHistory, undefined);
  const seeing = previewOf(drainOf('a'), world({ ...fleet, past: read }));
  assert.deepEqual(seeing.fromHistory, ['what 1 of 1 guests write', 'what 1 of 1 links carry']);
  assert.ok(seeing.seconds > blind.seconds * 5, 'the link is a twelfth of what is assumed');
});

/** Drains by the product's plan, which knows nothing but what history says. */
class HistoryDirector implements Director {
  readonly #past: PastRates;
  #before: DrainPlan['timetable'] = [];
  first: DrainPlan | undefined;

  constructor(rates: PastRates) {
    this.#past = rates;
  }

  start(view: View): { guest: string; to: string }[] {
    const { hosts, guests } = inventoryOf(view);
    const { links, dirty, pairs } = this.#past;
    const reported = {
      hosts: hosts.map(({ linkBytesPerSecond: _own, ...each }) => {
        const link = links.get(each.name);
        return { ...each, ...(link === undefined ? {} : { linkBytesPerSecond: link }) };
      }),
      guests: guests.map(({ dirtyBytesPerSecond: _own, ...each }) => {
        const rate = dirty.get(each.name);
        return { ...each, ...(rate === undefined ? {} : { dirtyBytesPerSecond: rate }) };
      }),
    };
    const { running, scene } = view;
    const plan = drain(reported, { hosts: scene.drained, running, before: this.#before, pairs });
    this.first ??= plan;
    this.#before = plan.timetable;
    return plan.timetable.filter((each) => !each.running && each.startSeconds <= 0.5);
  }

  again(): number {
    return 120;
  }
}

/** What the history has of a drain, as it is seen every five seconds. */
class Recording implements Director {
  readonly #inner = new CappedDirector(2);
  readonly #seen = new Map<string, { from: string; to: string; began: number; rates: number[] }>();
  readonly rows: PastMigration[] = [];

  start(view: View): { guest: string; to: string }[] {
    for (const { guest: name, from, to, elapsedSeconds, bytesPerSecond = 0 } of view.running) {
      const began = view.seconds - elapsedSeconds;
      const seen = this.#seen.get(name) ?? { from, to, began, rates: [] };
      if (bytesPerSecond > 0) seen.rates.push(bytesPerSecond);
      this.#seen.set(name, seen);
    }
    for (const [name, { from, to, began, rates }] of this.#seen) {
      if (view.running.some((each) => each.guest === name)) continue;
      this.#seen.delete(name);
      const dirtyRate =
        view.scene.guests.find((each) => each.name === name)?.dirtyBytesPerSecond ?? null;
      const linkRate =
        rates.length === 0 ? null : rates.reduce((sum, each) => sum + each, 0) / rates.length;
      const times = { endedAtMs: view.seconds * 1000, totalMs: (view.seconds - began) * 1000 };
      this.rows.unshift({
        guest: name,
        source: from,
        destination: to,
        ...times,
        linkRate,
        dirtyRate,
      });
    }
    return this.#inner.start(view);
  }

  again(): number {
    return 5;
  }
}

function sceneOf(seed: number): Scene {
  const random = new Random(seed);
  const link = () => random.pick([0.5, 1, 2.5, 10]) * 125e6;
  return {
    name: `seed ${seed}`,
    hosts: ['a', 'b', 'c', 'd'].map((name) =>
      host(name, { linkBytesPerSecond: link(), memoryBytes: 512 * GIB, cpu: 64 }),
    ),
    guests: Array.from({ length: 8 }, (_none, at) =>
      guest(`g${at}`, 'a', {
        cpu: 0.5,
        demand: [0.1],
        memoryBytes: random.pick([4, 8, 16]) * GIB,
        dirtyBytesPerSecond: random.pick([0, 5e6, 20e6]),
      }),
    ),
    trunks: [],
    drained: ['a'],
  };
}

const errorOf = (scene: Scene, seed: number, rates: PastRates): number => {
  const reported = new HistoryDirector(rates);
  const { seconds } = new DrainWorld(scene, new Random(seed)).run(reported);
  return Math.abs((reported.first?.eta.seconds ?? 0) / seconds - 1);
};

test('a plan that rests on an earlier drain of the same hosts predicts the end much better', () => {
  const errors = Array.from({ length: 6 }, (_none, seed) => {
    const scene = sceneOf(seed);
    const recording = new Recording();
    new DrainWorld(scene, new Random(seed)).run(recording);
    const rates = pastRates(recording.rows);
    return { blind: errorOf(scene, seed, NO_RATES), seeing: errorOf(scene, seed, rates) };
  });
  const at = (of: 'blind' | 'seeing', share: number): number =>
    errors.map((each) => each[of]).toSorted((left, right) => left - right)[
      Math.floor(share * (errors.length - 1))
    ] ?? 0;
  const figures = (['blind', 'seeing'] as const).map((of) => [at(of, 0.5), at(of, 0.9)] as const);
  const [[blind, blindMost] = [0, 0], [seeing, seeingMost] = [0, 0]] = figures;
  assert.ok(seeing < blind / 2, `the median of the error: ${seeing}, and ${blind} without history`);
  assert.ok(seeingMost < blindMost, `nine of ten: ${seeingMost}, and ${blindMost} without history`);
});
