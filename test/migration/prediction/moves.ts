import type { Facts } from '../../../src/migration/prediction/facts.ts';
import { movesTo, type OwnMove } from '../../../src/migration/prediction/own-moves.ts';
import { MAX_LOOKED_AT } from '../../../src/migration/prediction/parameters.ts';
import { expected, predict, type Outcome } from '../../../src/migration/prediction/predict.ts';
import type { Report } from '../../../src/protocol/public/migration.ts';
import type { ToldCosts } from '../../../src/protocol/public/prediction.ts';
import { report } from '../../cli/fake.ts';
import { wireReportOf } from '../direct/samples.ts';
import { MEMORY_PATHS } from './samples.ts';

/** Moves that were made before, and what they came to on hosts whose paths cost otherwise than is assumed. */

/** Those whose costs are learned. */
export const PATHS = MEMORY_PATHS.filter((each) => each !== 'content' && each !== 'contentPacked');

export const move = (costs?: ToldCosts): OwnMove => ({
  finished: 'precopy',
  byWire: false,
  several: false,
  maxDowntimeMs: 1,
  downtimeMs: 1,
  costs,
});
export const moves = (count: number, costs: ToldCosts): OwnMove[] =>
  Array.from({ length: count }, () => move(costs));

/** What that comes to on hosts that take so many times the processor time that is assumed, and send so many times the bytes. */
export const cameOn = (facts: Facts, processor: number, bytes = 1): Outcome =>
  expected({
    ...facts,
    ownMoves: moves(MAX_LOOKED_AT, { memoryPath: facts.memoryPath, processor, bytes }),
  });

/** How a report says which path memory took. */
function byPath(
  memoryPath: Facts['memoryPath'],
  linkBytes: number,
): Pick<Report, 'stream' | 'wire'> {
  if (memoryPath === 'cold' || memoryPath === 'known') return { wire: wireReportOf({ linkBytes }) };
  const level = LEVELS[memoryPath];
  if (level !== undefined)
    return { stream: { streams: 4, compress: 'zstd', compressLevel: level } };
  const compress = memoryPath === 'xbzrle' ? 'xbzrle' : 'none';
  return { stream: { streams: memoryPath === 'several' ? 4 : 1, compress } };
}

const LEVELS: Partial<Record<Facts['memoryPath'], number>> = { packed: 1, packed3: 3, packed9: 9 };

/** The report of a move that was predicted by those before it, and came to that. */
export function reportOf(
  facts: Facts,
  { rounds }: Pick<Outcome, 'rounds'>,
  before: readonly Report[] = [],
  more: Partial<Report> = {},
): Report {
  // Of both hosts, which are alike.
  const processors = [...facts.processors, ...facts.processors];
  const found = predict({ ...facts, processors, ownMoves: movesTo('b', before) });
  return report({
    prediction: found,
    ...byPath(facts.memoryPath, Math.round(rounds.bytes)),
    bytes: Math.round(rounds.bytes),
    phases: [
      { phase: 'checking', ms: 700 },
      { phase: 'memory', ms: Math.round(rounds.memoryMs) },
    ],
    ...more,
  });
}

/** So many moves of that guest, one after the other; the newest first. */
export function repeated(facts: Facts, came: Pick<Outcome, 'rounds'>, count: number): Report[] {
  let reports: Report[] = [];
  for (let at = 0; at < count; at += 1) reports = [reportOf(facts, came, reports), ...reports];
  return reports;
}
