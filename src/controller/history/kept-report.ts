import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { godwitError } from '../../errors.ts';
import { report as reportShape } from '../../protocol/public/migration.ts';
import type { Report } from '../../protocol/public/migration.ts';

/** As JSON, before it is packed: a report of 10,000 rounds would be ten times that. */
const MOST_CHARS = 256 * 1024;
/** What a packed one may become again, bytes; a character of JSON is at most three of them, or four for two. */
const MOST_BYTES = 4 * MOST_CHARS;
/** Rounds and decisions of a report that is too long: the first, the last, and some between. */
const MOST_ROUNDS = 400;
const MOST_DECISIONS = 200;

/**
 * A report as the database keeps it: deflated JSON as base64. One that is too long loses rounds and decisions between;
 * undefined where it is too long without them, which no host of ours makes.
 */
export function packed(report: Report): string | undefined {
  let text = JSON.stringify(report);
  if (text.length > MOST_CHARS) text = JSON.stringify(thinned(report));
  if (text.length > MOST_CHARS) return undefined;
  return deflateRawSync(text).toString('base64');
}

/** GODWIT_INTERNAL for what is no report: it is our own text, from our own database. */
export function unpacked(kept: string): Report {
  try {
    const raw = inflateRawSync(Buffer.from(kept, 'base64'), { maxOutputLength: MOST_BYTES });
    return reportShape.parse(JSON.parse(raw.toString()));
  } catch (cause) {
    throw godwitError('GODWIT_INTERNAL', { what: 'a report in the database' }, { cause });
  }
}

function thinned(report: Report): Report {
  const { roundList, decisions } = report;
  return {
    ...report,
    roundList: some(roundList, MOST_ROUNDS),
    decisions: some(decisions, MOST_DECISIONS),
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
