import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { godwitError } from '../../errors.ts';
import { report as reportShape, type Report } from '../../protocol/public/migration.ts';

/** Length as JSON before packing. */
const MAX_CHARS = 256 * 1024;
/** Unpacked size, bytes; a character of JSON takes at most three bytes, or four for two. */
const MAX_BYTES = 4 * MAX_CHARS;
/** Length in the database, characters; 400 rounds and 200 decisions fit. */
const MAX_KEPT_CHARS = 64 * 1024;
const THINNED = [
  { rounds: 400, decisions: 200 },
  { rounds: 50, decisions: 50 },
] as const;

/**
 * Deflated JSON as base64. A long report loses rounds and decisions between; undefined if it is still too long, which
 * no Godwit host sends.
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

function some<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  const places = Array.from({ length: most }, (_none, at) =>
    Math.round((at * (all.length - 1)) / (most - 1)),
  );
  return places.flatMap((place) => all.slice(place, place + 1));
}
