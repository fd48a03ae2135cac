import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LineReader, mustBeWhole, type Damage } from '../../../src/host/journal/journal-lines.ts';
import {
  destinationRecord,
  replayDestination,
  replaySource,
  sourceRecord,
  type SourceRecord,
} from '../../../src/migration/direct/journal.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import { chance, settle } from '../../migration/direct/drive.ts';
import { anyEvent } from '../../migration/direct/events.ts';
import { errorOf, planned } from '../../migration/direct/samples.ts';
import { World } from '../../migration/direct/world.ts';
import { earlierLinesOf, linesOf, recordsOf, textOf } from '../journals.ts';

const SOURCE = { schema: sourceRecord, first: 'planned' } as const;
const DESTINATION = { schema: destinationRecord, first: 'admitted' } as const;

interface JournalContents {
  readonly records: SourceRecord[];
  readonly bytes: number;
  readonly damage: Damage | undefined;
}

function read(bytes: Buffer): JournalContents {
  const lines = new LineReader(SOURCE);
  const records = lines.take(bytes);
  return { records, bytes: lines.bytes, damage: lines.damage };
}

/** A migration from its beginning to its end. */
function realJournal(): SourceRecord[] {
  const world = new World();
  settle(world);
  assert.equal(world.outcome, 'done');
  // As a mover writes it: without what the schema does not name.
  return recordsOf(world.journal).map((record) => sourceRecord.parse(record));
}

/** Texts with letters of more than one byte, so that a cut can fall inside a letter. */
const events = fc
  .array(
    fc.oneof(
      anyEvent,
      fc.string({ unit: 'grapheme' }).map((reason): SourceEvent => ({
        type: 'failed',
        step: 'memory',
        error: errorOf(reason),
      })),
    ),
    { maxLength: 12 },
  )
  .map((some) => [planned(), ...some]);

describe('the lines of a journal', () => {
  test('journal lines return the written events, in one piece or in many', () => {
    fc.assert(
      fc.property(events, fc.array(fc.nat()), (some, places) => {
        const records = recordsOf(some);
        const text = textOf(records);
        assert.deepEqual(read(text), { records, bytes: text.length, damage: undefined });
        const lines = new LineReader(SOURCE);
        const found: SourceRecord[] = [];
        const ends = places.map((place) => place % (text.length + 1)).toSorted((a, b) => a - b);
        for (const end of [...ends, text.length]) {
          found.push(...lines.take(text.subarray(lines.bytes, end)));
        }
        assert.deepEqual(found, records);
      }),
    );
  });

  test("journal lines lose nothing of either side's state", () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true }), ({ world }) => {
        const { records } = read(textOf(recordsOf(world.journal)));
        assert.deepEqual(replaySource(records.map(({ event }) => event)), world.state);
        const theirs = world.destination?.journal ?? [];
        const written = theirs.map((event, seq) => ({ v: 1 as const, seq, at: 1, mono: 1, event }));
        const found = new LineReader(DESTINATION).take(textOf(written));
        assert.deepEqual(
          replayDestination(found.map(({ event }) => event)),
          world.destination?.state,
        );
      }),
      { numRuns: 100 },
    );
  });

  test('journal lines without checksums are read, even before and after lines with checksums', () => {
    fc.assert(
      fc.property(events, fc.nat(), fc.nat(), (some, first, second) => {
        const records = recordsOf(some);
        const [from, to] = [first % (some.length + 1), second % (some.length + 1)].toSorted(
          (a, b) => a - b,
        );
        const before = Buffer.concat(earlierLinesOf(records.slice(0, from)));
        const lines = new LineReader(SOURCE);
        lines.take(before);
        const own = Buffer.concat(linesOf(records.slice(from, to), lines.sum));
        const after = Buffer.concat(earlierLinesOf(records.slice(to)));
        const text = Buffer.concat([before, own, after]);
        assert.deepEqual(read(text), { records, bytes: text.length, damage: undefined });
      }),
    );
  });
});

describe('a damaged journal', () => {
  const records = realJournal();
  const lines = linesOf(records);
  const text = Buffer.concat(lines);
  const held = (bytes: Buffer, what: string): Damage => {
    const { damage } = read(bytes);
    assert.ok(damage !== undefined, what);
    return damage;
  };

  test('a journal is held when any byte of it was changed', () => {
    for (let at = 0; at < text.length; at += 1) {
      for (const change of [1, 1 << (at % 8), 0xff]) {
        const bytes = Buffer.from(text);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const { line } = held(bytes, `byte ${at} changed by ${change}`);
        assert.ok(line >= 1 && line <= lines.length);
      }
    }
  });

  test('a journal is cut if its last line is torn, at any byte, and nowhere else', () => {
    for (let cut = 0; cut <= text.length; cut += 1) {
      const { records: found, bytes, damage } = read(text.subarray(0, cut));
      assert.equal(damage, undefined, `cut at ${cut}`);
      assert.deepEqual(found, records.slice(0, found.length));
      assert.ok(bytes <= cut && !text.subarray(bytes, cut).includes(10));
    }
  });

  test('a journal is cut if a power loss left zeros for its last line', () => {
    const found = read(Buffer.concat([text, Buffer.alloc(4096)]));
    assert.deepEqual(found, { records, bytes: text.length, damage: undefined });
  });

  test('a journal is held when a line is missing, duplicated or moved', () => {
    for (let at = 0; at < lines.length; at += 1) {
      const line = lines[at] ?? Buffer.alloc(0);
      const without = lines.toSpliced(at, 1);
      if (at < lines.length - 1) held(Buffer.concat(without), `without line ${at}`);
      for (let to = 0; to < lines.length; to += 1) {
        held(Buffer.concat(lines.toSpliced(to, 0, line)), `line ${at} again at ${to}`);
        if (to !== at) held(Buffer.concat(without.toSpliced(to, 0, line)), `line ${at} at ${to}`);
      }
    }
  });

  test('a journal is held for a line of another migration, even with the right number', () => {
    const other = recordsOf(records.map(({ event }) => event)).map((record) => ({
      ...record,
      at: record.at + 1,
    }));
    for (const [at, line] of linesOf(other).entries()) {
      held(Buffer.concat(lines.toSpliced(at, 1, line)), `line ${at}`);
    }
  });

  test('a journal is held for an unknown event, which is named with a remedy', () => {
    const newer = { v: 1, seq: 2, at: 1, mono: 1, event: { type: 'teleported', to: 'c' } };
    const text2 = textOf([...records.slice(0, 2), newer, ...records.slice(3)]);
    const damage = held(text2, 'newer');
    assert.deepEqual({ line: damage.line, isNewer: damage.isNewer }, { line: 3, isNewer: true });
    assert.throws(
      () => mustBeWhole('/state/journal.jsonl', damage),
      (thrown: unknown) => {
        const { code, message, hint } = thrown as { code: string; message: string; hint: string };
        assert.equal(code, 'GODWIT_JOURNAL_DAMAGED');
        assert.match(message, /\/state\/journal\.jsonl.*line 3.*"teleported"/);
        assert.match(hint, /newer build/);
        return true;
      },
    );
  });

  test('a journal is held when its beginning is missing', () => {
    const damage = held(textOf(recordsOf([{ type: 'cancel' }])), 'no plan');
    assert.match(damage.saw, /begins with "cancel"/);
  });

  test('a damaged older journal is held for any damage visible without checksums', () => {
    const earlier = earlierLinesOf(records);
    held(Buffer.concat(earlier.toSpliced(1, 1)), 'missing');
    held(Buffer.concat(earlier.toSpliced(1, 0, earlier[1] ?? Buffer.alloc(0))), 'twice');
    for (let at = 0; at < 200; at += 1) {
      const bytes = Buffer.concat(earlier);
      bytes[at] = 0;
      held(bytes, `byte ${at}`);
    }
  });

  test('a journal is cut, held or unchanged, whatever is done to it, and never throws', () => {
    const deed = fc.oneof(
      fc.record({ at: fc.nat(), cut: fc.nat(40), put: fc.uint8Array({ maxLength: 40 }) }),
      fc.record({ at: fc.nat(), cut: fc.constant(0), put: fc.constant(Buffer.alloc(20)) }),
      fc.record({
        at: fc.nat(),
        cut: fc.constant(0),
        put: fc.json().map((each) => Buffer.from(`${each}\n`)),
      }),
    );
    fc.assert(
      fc.property(fc.array(deed, { minLength: 1, maxLength: 4 }), (deeds) => {
        let bytes = text;
        for (const { at, cut, put } of deeds) {
          const from = at % (bytes.length + 1);
          bytes = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + cut)]);
        }
        const { records: found, damage, bytes: whole } = read(bytes);
        assert.deepEqual(found, records.slice(0, found.length));
        // Cut is what no newline ends, and nothing else.
        if (damage === undefined) assert.ok(!bytes.subarray(whole).includes(10));
      }),
      { numRuns: 5000 },
    );
  });

  test("a file of another kind in the journal's place is held", () => {
    const rubbish = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from([...bytes, 10])),
      fc.json().map((each) => Buffer.from(`${each}\n`)),
    );
    fc.assert(
      fc.property(rubbish, (bytes) => {
        const { records: found, damage } = read(bytes);
        assert.deepEqual(found, []);
        assert.equal(damage?.line, 1);
        assert.match(damage?.saw ?? '', /^[\x20-\x7e…]*$/);
      }),
    );
  });
});
