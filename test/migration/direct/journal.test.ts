import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { destinationAfter, initialDestination } from '../../../src/migration/direct/destination.ts';
import {
  decodeRecords,
  destinationRecord,
  encodeRecord,
  replayDestination,
  replaySource,
  sourceRecord,
} from '../../../src/migration/direct/journal.ts';
import type { SourceRecord } from '../../../src/migration/direct/journal.ts';
import { initialSource } from '../../../src/migration/direct/source-state.ts';
import type { SourceEvent } from '../../../src/migration/direct/source-state.ts';
import { transition } from '../../../src/migration/direct/transition.ts';
import { chance } from './drive.ts';
import { anyEvent } from './events.ts';
import { errorOf, planned } from './samples.ts';

const worlds = chance({ deaths: true, faults: true });

function recordsOf(events: readonly SourceEvent[]): SourceRecord[] {
  return events.map((event, seq) => ({ v: 1, seq, at: 1000 + seq, mono: seq / 3, event }));
}

function textOf(records: readonly SourceRecord[]): string {
  return records.map((record) => encodeRecord(record)).join('');
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

describe('replay', () => {
  test('of any beginning of a journal gives the state that the mover had then: source', () => {
    fc.assert(
      fc.property(worlds, ({ world }) => {
        const [first, ...rest] = world.journal;
        assert.ok(first?.type === 'planned');
        let state = initialSource(first).state;
        for (const [index, event] of rest.entries()) {
          assert.deepEqual(replaySource(world.journal.slice(0, index + 1)), state);
          state = transition(state, event).state;
        }
        assert.deepEqual(replaySource(world.journal), world.state);
      }),
      { numRuns: 300 },
    );
  });

  test('of any beginning of a journal gives the state that the mover had then: destination', () => {
    fc.assert(
      fc.property(worlds, ({ world }) => {
        const [first, ...rest] = world.destination?.journal ?? [];
        if (first === undefined) return;
        assert.ok(first.type === 'admitted');
        let state = initialDestination(first);
        for (const [index, event] of rest.entries()) {
          assert.deepEqual(replayDestination([first, ...rest.slice(0, index)]), state);
          state = destinationAfter(state, event);
        }
        assert.deepEqual(state, world.destination?.state);
      }),
      { numRuns: 300 },
    );
  });

  test('through the text of the journal loses nothing', () => {
    fc.assert(
      fc.property(worlds, ({ world }) => {
        const { records } = decodeRecords(sourceRecord, textOf(recordsOf(world.journal)));
        assert.deepEqual(replaySource(records.map((record) => record.event)), world.state);
        const theirs = world.destination?.journal ?? [];
        const lines = theirs.map((event, seq) =>
          encodeRecord({ v: 1, seq, at: 1, mono: 1, event }),
        );
        const decoded = decodeRecords(destinationRecord, lines.join(''));
        const found = replayDestination(decoded.records.map((record) => record.event));
        assert.deepEqual(found, world.destination?.state);
      }),
      { numRuns: 300 },
    );
  });

  test('of nothing, or of a journal without its beginning, gives no state', () => {
    assert.equal(replaySource([]), undefined);
    assert.equal(replaySource([{ type: 'cancel' }]), undefined);
    assert.equal(replayDestination([]), undefined);
    assert.equal(replayDestination([{ type: 'released' }]), undefined);
  });
});

describe('decoding', () => {
  test('gives back what was encoded', () => {
    fc.assert(
      fc.property(events, (some) => {
        const records = recordsOf(some);
        const text = textOf(records);
        const decoded = decodeRecords(sourceRecord, text);
        assert.deepEqual(decoded, { records, wholeBytes: Buffer.byteLength(text) });
      }),
    );
  });

  test('of a journal torn at any byte gives every whole record and where to go on', () => {
    fc.assert(
      fc.property(events, fc.nat(), (some, place) => {
        const records = recordsOf(some);
        const bytes = Buffer.from(textOf(records));
        const cut = place % (bytes.length + 1);
        const decoded = decodeRecords(sourceRecord, bytes.subarray(0, cut).toString('utf8'));
        const whole = records.slice(0, decoded.records.length);
        assert.deepEqual(decoded.records, whole);
        assert.equal(decoded.wholeBytes, Buffer.byteLength(textOf(whole)));
        assert.ok(decoded.wholeBytes <= cut);
        const next = records[whole.length];
        if (next !== undefined) {
          assert.ok(decoded.wholeBytes + Buffer.byteLength(encodeRecord(next)) > cut);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('stops at a record that is missing or twice, since nothing after it can be trusted', () => {
    const records = recordsOf([planned(), { type: 'cancel' }, { type: 'cancel' }]);
    const [first, second, third] = records.map((record) => encodeRecord(record));
    assert.equal(decodeRecords(sourceRecord, `${first}${third}`).records.length, 1);
    assert.equal(decodeRecords(sourceRecord, `${first}${first}`).records.length, 1);
    assert.equal(decodeRecords(sourceRecord, `${first}${second}${third}`).records.length, 3);
  });

  test('never throws, whatever lies in the file', () => {
    const hole = '\0'.repeat(20);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('utf8')),
          fc.json().map((text) => `${text}\n`),
          fc.constant(`${hole}\n`),
        ),
        events,
        (text, some) => {
          const good = textOf(recordsOf(some));
          assert.deepEqual(decodeRecords(sourceRecord, text).records, []);
          assert.equal(decodeRecords(sourceRecord, good + text).records.length, some.length);
        },
      ),
    );
  });
});
