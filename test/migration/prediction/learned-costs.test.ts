import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  decideDataPath,
  PACKED_STREAM,
  type DataPathFacts,
} from '../../../src/migration/prediction/data-path.ts';
import { isByWire } from '../../../src/migration/prediction/hits.ts';
import type { Facts } from '../../../src/migration/prediction/facts.ts';
import { costsLines } from '../../../src/migration/prediction/own-costs.ts';
import { movesTo, type OwnMove } from '../../../src/migration/prediction/own-moves.ts';
import type { MemoryPath } from '../../../src/migration/prediction/parameters.ts';
import { others, planned, type PlanFacts } from '../../../src/migration/prediction/plan.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { prediction as answer } from '../../../src/protocol/public/prediction.ts';
import { cameOn, move, moves, PATHS, repeated } from './moves.ts';
import { anyFacts, guest, MBIT, offer, own, thin } from './samples.ts';

const slower = fc.double({ min: 0.5, max: 3, noNaN: true });
interface Steady {
  readonly memoryPath: MemoryPath;
  readonly memoryGib: number;
  readonly dirtyMib: number;
  readonly cores: number;
}
/** A move by the wire tells nothing unless a plan knew what its caches have. */
const BY_STREAMS = PATHS.filter((each) => !isByWire(each));
/** Writes little beside what it holds, and takes long enough to learn from. */
const steady: fc.Arbitrary<Steady> = fc.record({
  memoryPath: fc.constantFrom(...BY_STREAMS),
  memoryGib: fc.integer({ min: 2, max: 16 }),
  dirtyMib: fc.integer({ min: 0, max: 4 }),
  cores: fc.integer({ min: 1, max: 4 }),
});
const factsOf = ({ memoryPath, memoryGib, dirtyMib, cores }: Steady, rate: number): Facts => ({
  ...guest(dirtyMib, { timeoutMs: 86_400_000 }),
  memoryPath,
  memoryBytes: memoryGib * 1024 ** 3,
  processors: [{ cores }],
  link: { rate, how: 'measured', roundTripMs: 1 },
});

describe('prediction on slower or faster hosts', () => {
  test('a prediction is within ten percent after four moves that were limited by the processors', () => {
    let compared = 0;
    fc.assert(
      fc.property(steady, slower, (guestOf, times) => {
        const facts = factsOf(guestOf, 12_500_000_000);
        const came = cameOn(facts, times);
        if (came.rounds.ends !== 'precopy' || came.rounds.memoryMs < 1500) return;
        compared += 1;
        const { memoryMs, costs } = predict({
          ...facts,
          ownMoves: movesTo('b', repeated(facts, came, 4)),
        });
        const off = memoryMs.middle / came.rounds.memoryMs;
        assert.ok(off > 0.9 && off < 1.1, `${off}: ${JSON.stringify(costs)}`);
      }),
      { numRuns: 60 },
    );
    assert.ok(compared > 30, String(compared));
  });

  test('a prediction stays unchanged after moves that were limited by the link', () => {
    fc.assert(
      fc.property(steady, slower, (guestOf, times) => {
        const facts = factsOf(guestOf, 500_000);
        const came = cameOn(facts, times);
        const costs = movesTo('b', repeated(facts, came, 3)).map((each) => each.costs);
        assert.ok(
          costs.every((each) => each?.processor === undefined),
          JSON.stringify(costs),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('a prediction detects slow processors if the move was expected to be limited by the link', () => {
    const facts = { ...guest(1), memoryPath: 'packed3' as const, processors: [{ cores: 4 }] };
    const link = { rate: 30 * MBIT, how: 'measured' as const, roundTripMs: 1 };
    const slow = { ...facts, link };
    const came = cameOn(slow, 3.5);
    const [first] = repeated(slow, came, 1);
    assert.ok((first?.prediction?.costs?.processor.share ?? 1) < 0.7);
    const ownMoves = movesTo('b', repeated(slow, came, 4));
    const off = predict({ ...slow, ownMoves }).memoryMs.middle / came.rounds.memoryMs;
    assert.ok(off > 0.9 && off < 1.1, String(off));
  });

  test('a prediction learns the bytes of its path, both in time and in volume', () => {
    const facts = { ...guest(1), memoryPath: 'packed' as const };
    const slow = { ...facts, link: { rate: 40 * MBIT, how: 'measured' as const } };
    const came = cameOn(slow, 1, 1.4);
    const { bytes, memoryMs } = predict({
      ...slow,
      ownMoves: movesTo('b', repeated(slow, came, 4)),
    });
    for (const off of [bytes.middle / came.rounds.bytes, memoryMs.middle / came.rounds.memoryMs])
      assert.ok(off > 0.95 && off < 1.05, String(off));
  });

  test('a learned prediction is accepted by the protocol, whatever the moves showed', () => {
    const told = fc.record({
      memoryPath: fc.constantFrom<string>(...PATHS),
      processor: fc.double({ min: 0.25, max: 4, noNaN: true }),
      bytes: fc.double({ min: 0.5, max: 2, noNaN: true }),
    });
    fc.assert(
      fc.property(anyFacts, fc.array(told.map(move), { maxLength: 12 }), (facts, ownMoves) => {
        answer.parse(predict({ ...facts, ownMoves }));
      }),
    );
  });
});

describe('the choice of a path', () => {
  const link = 1000 * MBIT;
  const slow = moves(3, { memoryPath: 'packed', processor: 4 });

  test('auto changes from zstd to a plain stream on slow hosts', () => {
    const auto = migrationSettings.parse({ path: 'auto' });
    const facts = { ...thin, linkBytesPerS: link, offer: undefined };
    const takes = (ownMoves: OwnMove[]) => {
      const choice = decideDataPath(auto, { ...facts, ownMoves });
      return choice.takes === 'native' ? choice.stream : choice.takes;
    };
    assert.deepEqual(takes([]), PACKED_STREAM);
    assert.equal(takes(slow), undefined);
  });

  test('a plan lists zstd behind a plain stream on slow hosts', () => {
    const { memoryPath: _, ...facts } = guest(1);
    const plan: PlanFacts = {
      ...facts,
      link: { rate: link, how: 'measured', roundTripMs: 1 },
      processors: [own, offer],
      asked: { mode: 'postcopy', path: 'native', stream: { streams: 1, compress: 'none' } },
      capabilities: {
        modes: ['precopy', 'postcopy'],
        compression: ['none', 'zstd'],
        maxStreams: 16,
        levers: [],
      },
      hasWire: false,
      knowsGuest: false,
      copiesDisks: false,
      stateBytes: 0,
    };
    const first = (ownMoves: OwnMove[]) => others({ ...plan, ownMoves })[0]?.stream.compress;
    assert.deepEqual([first([]), first(slow)], ['zstd', 'none']);
    const asked = { mode: 'precopy', path: 'native', stream: PACKED_STREAM } as const;
    const { costs } = planned({ ...plan, asked, ownMoves: slow });
    assert.ok(costs !== undefined);
    assert.deepEqual(costsLines(costs, 'b'), [
      'zstd takes 4.0 times the processor time that is assumed: 3 moves to b',
    ]);
  });
});

test("the data path is chosen by the processor speed that this host's moves showed, and reports it", () => {
  const costs = { memoryPath: 'packed3', processor: 3 } as const;
  const kind = { finished: 'precopy', byWire: false, several: true } as const;
  const told = { ...kind, maxDowntimeMs: 100, downtimeMs: 50, costs };
  const settings = migrationSettings.parse({ path: 'auto' });
  const whyOf = (known: DataPathFacts): string => {
    const choice = decideDataPath(settings, known);
    return choice.takes === 'neither' ? '' : choice.why;
  };
  const facts = { ...thin, offer: undefined, ownMoves: [told, told, told] };
  assert.match(whyOf(facts), / with zstd 3 \(3\.0 times the processor time assumed\)/);
  assert.doesNotMatch(whyOf({ ...facts, ownMoves: [] }), /times the processor/);
});
