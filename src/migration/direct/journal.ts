import { z } from 'zod';
import { destinationAfter, destinationEvent, initialDestination } from './destination.ts';
import type { DestinationEvent, DestinationState } from './destination.ts';
import { initialSource, sourceEvent } from './source-state.ts';
import type { SourceEvent, SourceState } from './source-state.ts';
import { transition } from './transition.ts';

/**
 * The journal's records: what happened, when, in order. One JSON object a line; the state is their fold,
 * and so is the report. `at` is wall clock (ms since 1970), `mono` monotonic ms within one mover's life.
 */
const head = {
  v: z.literal(1),
  seq: z.number().int().nonnegative(),
  at: z.number(),
  mono: z.number(),
};
export const sourceRecord = z.object({ ...head, event: sourceEvent });
export const destinationRecord = z.object({ ...head, event: destinationEvent });
export type SourceRecord = z.infer<typeof sourceRecord>;
export type DestinationRecord = z.infer<typeof destinationRecord>;

/** One record's line, newline included. */
export function encodeRecord(record: SourceRecord | DestinationRecord): string {
  return `${JSON.stringify(record)}\n`;
}

export interface Decoded<T> {
  readonly records: T[];
  /** Length of the text up to the end of the last whole record, in UTF-8 bytes; what follows is torn. */
  readonly wholeBytes: number;
}

/**
 * Reads records up to the first that is torn or out of order: a crash can only have hurt the end,
 * so nothing after that point was acted on.
 */
export function decodeRecords<T extends { seq: number }>(
  schema: z.ZodType<T>,
  text: string,
): Decoded<T> {
  const records: T[] = [];
  let wholeBytes = 0;
  let at = 0;
  for (;;) {
    const newline = text.indexOf('\n', at);
    if (newline < 0) break;
    const line = text.slice(at, newline);
    const record = decodeLine(schema, line);
    if (record === undefined || record.seq !== records.length) break;
    records.push(record);
    wholeBytes += Buffer.byteLength(line) + 1;
    at = newline + 1;
  }
  return { records, wholeBytes };
}

function decodeLine<T>(schema: z.ZodType<T>, line: string): T | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** The source's state after these records; undefined before the first. */
export function replaySource(events: readonly SourceEvent[]): SourceState | undefined {
  let state: SourceState | undefined;
  for (const event of events) {
    if (state === undefined) {
      if (event.type !== 'planned') return undefined;
      state = initialSource(event).state;
    } else {
      state = transition(state, event).state;
    }
  }
  return state;
}

/** The destination's state after these records; undefined before the first. */
export function replayDestination(
  events: readonly DestinationEvent[],
): DestinationState | undefined {
  let state: DestinationState | undefined;
  for (const event of events) {
    if (state === undefined) {
      if (event.type !== 'admitted') return undefined;
      state = initialDestination(event);
    } else {
      state = destinationAfter(state, event);
    }
  }
  return state;
}
