import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { godwitError } from '../../errors.ts';
import { report as reportShape, type Report } from '../../protocol/public/migration.ts';

/** As JSON, before it is packed: a report of 10,000 rounds would be ten times that. */
const MAX_CHARS = 256 * 1024;
/** What a packed one may become again, bytes; a character of JSON is at most three of them, or four for two. */
const MAX_BYTES = 4 * MAX_CHARS;
/** As the database keeps it, characters: a report of 400 rounds and 200 decisions fits. */
const MAX_KEPT_CHARS = 64 * 1024;
/** Rounds and decisions of a report that is too long, the first attempt first: the first, the last, and some between. */
const THINNED = [
  { rounds: 400, decisions: 200 },
  { rounds: 50, decisions: 50 },
] as const;

/**
 * A report as the database keeps it: deflated JSON as base64. One that is too long loses rounds and decisions between;
 * undefined if it is too long without them, which no host of ours makes.
 */
export function packed(report: Report): string | undefined {
  const texts = [() => report, ...THINNED.map((most) => () => thinned(report, most))];
  for (const made of texts) {
    const text = JSON.stringify(made());
    if (text.length > MAX_CHARS) continue;
    const kept = deflateRawSync(text).toString('base64');
    if (kept.length <= MAX_KEPT_CHARS) return kept;
  }
  return undefined;
}

/** GODWIT_INTERNAL for what is no report: it is our own text, from our own database. */
export function unpacked(kept: string): Report {
  try {
    const raw = inflateRawSync(Buffer.from(kept, 'base64'), { maxOutputLength: MAX_BYTES });
    return reportShape.parse(JSON.parse(raw.toString()));
  } catch (cause) {
    throw godwitError('GODWIT_INTERNAL', { what: 'a report in the database' }, { cause });
  }
}

function thinned(report: Report, most: (typeof THINNED)[number]): Report {
  const { roundList, decisions } = report;
  return {
    ...report,
    roundList: some(roundList, most.rounds),
    decisions: some(decisions, most.decisions),
  };
}

/** At most so many, evenly from the first to the last. */
function some<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  const places = Array.from({ length: most }, (_none, at) =>
    Math.round((at * (all.length - 1)) / (most - 1)),
  );
  return places.flatMap((place) => all.slice(place, place + 1));
}
