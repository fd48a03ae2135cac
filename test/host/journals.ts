/** Journals as they lie in a file, for tests. */
import { encodeLine, type JournalRecord } from '../../src/host/journal/journal-lines.ts';
import type { SourceEvent } from '../../src/migration/direct/source/source-state.ts';
import type { SourceRecord } from '../../src/migration/direct/journal.ts';

export function recordsOf(events: readonly SourceEvent[]): SourceRecord[] {
  return events.map((event, seq) => ({ v: 1, seq, at: 1000 + seq, mono: seq / 3, event }));
}

/** As this build writes them. */
export function linesOf(records: readonly JournalRecord[], sum = 0): Buffer[] {
  let before = sum;
  return records.map((record) => {
    const encoded = encodeLine(record, before);
    before = encoded.sum;
    return encoded.line;
  });
}

export function textOf(records: readonly JournalRecord[]): Buffer {
  return Buffer.concat(linesOf(records));
}

/** As builds wrote them before lines had a checksum. */
export function earlierLinesOf(records: readonly JournalRecord[]): Buffer[] {
  return records.map((record) => Buffer.from(`${JSON.stringify(record)}\n`));
}
