import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Facts } from '../../../src/migration/prediction/facts.ts';
import { costsLines, factorsOf, toldBy } from '../../../src/migration/prediction/own-costs.ts';
import { MAX_LOOKED_AT, type MemoryPath } from '../../../src/migration/prediction/parameters.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { migrationSettings, type Report } from '../../../src/protocol/public/migration.ts';
import { toldCosts } from '../../../src/protocol/public/prediction.ts';
import { movesTo, type OwnMove } from '../../../src/migration/prediction/own-moves.ts';
import { wireReportOf } from '../direct/samples.ts';
import { cameOn, move, moves, PATHS, reportOf } from './moves.ts';
import { anyFacts, guest, MBIT } from './samples.ts';

const BOTH = [{ cores: 2 }, { cores: 2 }];
const COMPRESSING: readonly MemoryPath[] = ['packed', 'packed3', 'packed9', 'cold', 'known'];

describe("path costs learned from this host's moves", () => {
  const told = fc.record(
    {
      memoryPath: fc.constantFrom<string>(...PATHS, 'a path of a newer build'),
      processor: fc.double({ min: 0.25, max: 4, noNaN: true }),
      bytes: fc.double({ min: 0.5, max: 2, noNaN: true }),
    },
    { requiredKeys: ['memoryPath'] },
  );
  const anyMoves = fc.array(fc.option(told, { nil: undefined }).map(move), { maxLength: 16 });
  const paths = fc.constantFrom(...PATHS);

  test('a path costs the assumed value if no move taught anything', () => {
    for (const memoryPath of PATHS) {
      const none = { times: 1, moves: 0 };
      assert.deepEqual(factorsOf(memoryPath, []), { processor: none, bytes: none });
      assert.deepEqual(factorsOf(memoryPath, [move()]), { processor: none, bytes: none });
    }
  });

  test('a path costs between the assumed value and the measured ones', () => {
    fc.assert(
      fc.property(paths, anyMoves, (memoryPath, latest) => {
        const found = factorsOf(memoryPath, latest);
        for (const name of ['processor', 'bytes'] as const) {
          const all = [1, ...latest.flatMap(({ costs }) => costs?.[name] ?? [])];
          const { times, moves: count } = found[name];
          assert.ok(times >= Math.min(...all) - 1e-9 && times <= Math.max(...all) + 1e-9);
          assert.ok(count <= MAX_LOOKED_AT);
        }
      }),
    );
  });

  test("a path's cost grows with the cost of any move", () => {
    fc.assert(
      fc.property(paths, anyMoves, fc.nat(), (memoryPath, latest, place) => {
        const at = latest.length === 0 ? 0 : place % latest.length;
        const more = latest.map((each, index) => {
          const { costs } = each;
          if (index !== at || costs === undefined) return each;
          const { processor, bytes } = costs;
          return move({
            ...costs,
            ...(processor === undefined ? {} : { processor: processor * 1.5 }),
            ...(bytes === undefined ? {} : { bytes: bytes * 1.5 }),
          });
        });
        const [one, other] = [factorsOf(memoryPath, latest), factorsOf(memoryPath, more)];
        for (const name of ['processor', 'bytes'] as const)
          assert.ok(other[name].times >= one[name].times - 1e-9);
      }),
    );
  });

  test("a path's cost moves halfway after one move, and all the way after three by the same path", () => {
    const after = (count: number) =>
      factorsOf('packed', moves(count, { memoryPath: 'packed', processor: 3, bytes: 1.5 }));
    assert.ok(Math.abs(after(1).processor.times - Math.sqrt(3)) < 1e-9);
    assert.deepEqual(after(3), {
      processor: { times: 3, moves: 3 },
      bytes: { times: 1.5, moves: 3 },
    });
  });

  test('a path learns from other compressing paths while few moves took it, and never from plain ones', () => {
    const by = (memoryPath: MemoryPath) => moves(8, { memoryPath, processor: 2, bytes: 1.5 });
    for (const path of COMPRESSING) {
      const { processor, bytes } = factorsOf(path, by(path === 'packed' ? 'packed9' : 'packed'));
      assert.ok(processor.times > 1.8 && processor.times < 2);
      assert.equal(bytes.times, 1);
      assert.equal(factorsOf(path, by('plain')).processor.times, 1);
    }
    assert.equal(factorsOf('plain', by('packed')).processor.times, 1);
    assert.equal(factorsOf('plain', by('several')).processor.times, 1);
    assert.equal(factorsOf('packed', by('cold')).processor.times, 1);
    const own3 = moves(3, { memoryPath: 'known', processor: 0.8 });
    assert.equal(factorsOf('known', [...by('packed'), ...own3]).processor.times, 0.8);
  });
});

describe('a move', () => {
  const facts: Facts = { ...guest(1), memoryPath: 'packed', processors: BOTH };
  const fat: Facts = { ...facts, link: { rate: 1_250_000_000, how: 'measured', roundTripMs: 1 } };
  const came = cameOn(fat, 2);

  test('a move reports its processor use as a factor of the assumption, whatever was learned before', () => {
    const learned = moves(3, { memoryPath: 'packed', processor: 3 });
    const prediction = predict({ ...fat, ownMoves: learned });
    assert.equal(prediction.costs?.processor.times, 3);
    const told = toldBy(reportOf(fat, came, [], { prediction }));
    assert.ok(Math.abs((told?.processor ?? 9) - 2) < 0.1, JSON.stringify(told));
  });

  test('a move teaches nothing if something else delayed it, or if it did not end by pre-copy', () => {
    const settings = migrationSettings.parse({ unplug: ['nic0'] });
    const wire = { cuts: 1 } as Report['wire'];
    const balloon = {} as Report['balloon'];
    const disks = [
      { phase: 'disks' as const, ms: 5000 },
      { phase: 'memory' as const, ms: 5000 },
    ];
    const held: Partial<Report>[] = [
      { outcome: 'failed' },
      { outcome: 'rehearsed' },
      { finished: 'postcopy' },
      { finished: 'unknown' },
      { prediction: undefined },
      { settings },
      { wire },
      { balloon },
      { takeovers: 1 },
      { phases: disks },
    ];
    assert.notEqual(toldBy(reportOf(fat, came)), undefined);
    for (const more of held) assert.equal(toldBy(reportOf(fat, came, [], more)), undefined);
  });

  test('a move teaches nothing about processors if the link may be why it took longer', () => {
    const longer = { rounds: { ...came.rounds, memoryMs: came.rounds.memoryMs * 3 } };
    const { link: _, ...unknown } = fat;
    assert.equal(toldBy(reportOf(unknown, longer))?.processor, undefined);
    const thinner = { ...facts, link: { rate: 100 * MBIT, how: 'measured' as const } };
    const slow = { rounds: { ...came.rounds, memoryMs: 60_000 } };
    const settings = migrationSettings.parse({ maxBandwidth: 100 * MBIT });
    assert.equal(toldBy(reportOf(thinner, slow, [], { settings }))?.processor, undefined);
    const stuck = { rounds: { ...came.rounds, memoryMs: 600_000 } };
    assert.equal(toldBy(reportOf(thinner, stuck))?.processor, undefined);
  });

  test('a move faster than the link alone teaches only that its processors were as fast', () => {
    const { memoryMs, bytes } = predict(fat);
    const quick = { rounds: { ...came.rounds, bytes: bytes.middle, memoryMs: 1000 } };
    const told = toldBy(reportOf(fat, quick))?.processor ?? 9;
    assert.ok(Math.abs(told - 1000 / memoryMs.middle) < 0.01, String(told));
  });

  test('a move teaches only values that the protocol accepts, within bounds', () => {
    const amount = fc.double({ min: 0, max: 1e12, noNaN: true });
    fc.assert(
      fc.property(anyFacts, amount, amount, (any, bytes, memoryMs) => {
        const told = toldBy(reportOf(any, { rounds: { ...came.rounds, bytes, memoryMs } }));
        if (told === undefined) return;
        toldCosts.parse(told);
        const { processor = 1, bytes: sent = 1 } = told;
        assert.ok(processor >= 0.25 && processor <= 4 && sent >= 0.5 && sent <= 2);
      }),
    );
  });

  test('a move that matched its prediction confirms the processors, even over a link with only a lower bound', () => {
    const least = { rate: 75_000_000, how: 'measured', isLeast: true } as const;
    for (const memoryPath of COMPRESSING) {
      for (const link of [least, { ...least, isLeast: false }]) {
        const slow: Facts = { ...facts, link, memoryPath };
        const { memoryMs, bytes } = predict(slow);
        const rounds = { ...came.rounds, memoryMs: memoryMs.middle, bytes: bytes.middle };
        const told = toldBy(reportOf(slow, { rounds }))?.processor ?? 1;
        assert.ok(Math.abs(told - 1) < 0.01, `${memoryPath}, ${link.isLeast}: ${told}`);
      }
    }
  });

  test('a move by an earlier build, by a manager or of a container teaches nothing', () => {
    const { costs: _, ...earlier } = predict(fat);
    assert.equal(toldBy(reportOf(fat, came, [], { prediction: earlier })), undefined);
    assert.equal(predict({ ...fat, shape: 'managed' }).costs, undefined);
    assert.equal(predict({ ...fat, memoryPath: 'content', rounds: 'content' }).costs, undefined);
    // Nor of one whose destination nobody knew: that may be slower.
    assert.equal(predict({ ...fat, processors: [{ cores: 2 }] }).costs, undefined);
  });

  test('a move teaches nothing about a path that memory did not take', () => {
    const stream = { streams: 1, compress: 'none' } as const;
    assert.equal(toldBy(reportOf(fat, came, [], { stream })), undefined);
    assert.equal(toldBy(reportOf(fat, came, [], { wire: wireReportOf() })), undefined);
  });

  test("a move at the link's speed contradicts slower processors, so that an outlier is forgotten", () => {
    const thin: Facts = { ...facts, link: { rate: 60_000_000, how: 'measured', roundTripMs: 1 } };
    const plain = cameOn(thin, 1);
    const { rounds } = plain;
    const odd = reportOf(thin, { rounds: { ...rounds, memoryMs: rounds.memoryMs * 1.4 } });
    assert.ok((toldBy(odd)?.processor ?? 1) > 2);
    let before = [odd, odd, odd];
    for (let at = 0; at < 4; at += 1) before = [reportOf(thin, plain, before), ...before];
    assert.ok(factorsOf('packed', movesTo('b', before)).processor.times < 1.06);
  });

  test('a move whose pages were counted by a cache teaches nothing about bytes', () => {
    const mix = { zero: 0.2, duplicate: 0, packed: 0.4, known: { share: 0.7, pages: 4096 } };
    const known: Facts = { ...facts, memoryPath: 'cold', mix };
    const { costs } = predict(known);
    assert.ok(costs !== undefined && costs.bytes === undefined);
    assert.equal(toldBy(reportOf(known, cameOn(known, 1)))?.bytes, undefined);
    // Memory that goes from hypervisor to hypervisor uses no cache, though the plan has asked what is there.
    assert.ok(predict({ ...facts, mix }).costs?.bytes !== undefined);
  });

  test('a move with unasked caches teaches only about slower processors, since hits make it faster', () => {
    const cold: Facts = { ...fat, memoryPath: 'cold' };
    const told = (processor: number, before: readonly OwnMove[] = []): number | undefined =>
      toldBy(
        reportOf(cold, cameOn(cold, processor), [], {
          prediction: predict({ ...cold, ownMoves: [...before] }),
        }),
      )?.processor;
    assert.ok(Math.abs((told(2) ?? 9) - 2) < 0.1);
    assert.equal(told(0.5), undefined);
    const slow = moves(3, { memoryPath: 'cold', processor: 2 });
    assert.ok(Math.abs((told(1.5, slow) ?? 9) - 1.5) < 0.1);
    // That it was quicker speaks against slower processors, and no further: a cache may be why.
    assert.equal(told(0.5, slow), 1);
    assert.ok(Math.abs((told(3, slow) ?? 9) - 3) < 0.1);
    // Of bytes it tells nothing: those of what the cache has are missing.
    assert.equal(toldBy(reportOf(cold, cameOn(cold, 2)))?.bytes, undefined);
  });
});

describe('reporting of learned costs', () => {
  test('learned costs that equal the assumption are not reported', () => {
    const { costs } = predict({ ...guest(1), processors: BOTH });
    assert.ok(costs !== undefined);
    assert.deepEqual(costsLines(costs, 'b'), []);
    const bytes = { times: 1.31, moves: 1, firstShare: 1 };
    assert.deepEqual(costsLines({ ...costs, bytes }, 'b'), [
      'one plain stream sends 1.3 times the bytes that are assumed: a move to b',
    ]);
  });
});
