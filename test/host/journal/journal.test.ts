import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../../../src/clock.ts';
import { sourceRecord } from '../../../src/migration/direct/journal.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import {
  Journal,
  openDestinationJournal,
  openSourceJournal,
  readJournals,
} from '../../../src/host/journal/journal.ts';
import { anyEvent } from '../../migration/direct/events.ts';
import { errorOf, planned } from '../../migration/direct/samples.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

const clock: Clock = { wallMs: () => 1000, monotonicMs: () => 1 / 3, sleep: async () => {} };

function tempDir(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function write(dir: string, events: readonly SourceEvent[]): Promise<void> {
  const { journal } = openSourceJournal(dir, clock);
  for (const [index, event] of events.entries()) {
    await journal.append(event, index % 2 === 0 ? 'sync' : 'later');
  }
  await journal.close();
}

const admission = admissionOf({ guest: 'g' });

const fileIn = (dir: string): string => path.join(dir, 'journal-source.jsonl');

describe('a journal', () => {
  test('a new journal is empty, and only its owner may read it', async (t) => {
    const dir = tempDir(t);
    const { journal, events } = openSourceJournal(dir, clock);
    assert.deepEqual(events, []);
    assert.equal(statSync(fileIn(dir)).mode & 0o777, 0o600);
    await journal.close();
  });

  test('a journal returns the appended events, in order, whichever mover wrote them', async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { maxLength: 8 }), fc.nat(8), async (some, cut) => {
        const events = [planned(), ...some];
        const dir = mkdtempSync(path.join(tempDir(t), 'm-'));
        await write(dir, events.slice(0, cut));
        const { journal, events: found } = openSourceJournal(dir, clock);
        assert.deepEqual(found, events.slice(0, cut));
        for (const event of events.slice(cut)) await journal.append(event, 'later');
        await journal.close();
        const records = readJournals(dir).source;
        assert.deepEqual(
          records.map(({ event }) => event),
          events,
        );
        assert.deepEqual(
          records.map(({ seq }) => seq),
          [...events.keys()],
        );
      }),
      { numRuns: 30 },
    );
  });

  test("an event is in the journal's file as soon as it is written, before it is synced", async (t) => {
    const dir = tempDir(t);
    const { journal } = openSourceJournal(dir, clock);
    journal.write(planned());
    assert.equal(readJournals(dir).source.length, 1);
    await journal.close();
  });

  test('a journal torn at any byte is cut to its complete records, and continues from there', async (t) => {
    const dir = tempDir(t);
    const events: SourceEvent[] = [
      planned(),
      { type: 'failed', step: 'memory', error: errorOf('größer — 大') },
      { type: 'undid', step: 'memory' },
    ];
    await write(dir, events);
    const whole = readFileSync(fileIn(dir));
    for (let cut = 0; cut <= whole.length; cut += 3) {
      writeFileSync(fileIn(dir), whole.subarray(0, cut));
      const { journal, events: found } = openSourceJournal(dir, clock);
      assert.deepEqual(found, events.slice(0, found.length));
      const next: SourceEvent = found.length === 0 ? planned() : { type: 'cancel' };
      journal.write(next);
      await journal.close();
      const after = readJournals(dir).source.map(({ event }) => event);
      assert.deepEqual(after, [...events.slice(0, found.length), next]);
    }
  });

  test('a journal with zeros after its end, as a power loss leaves them, loses nothing else', async (t) => {
    const dir = tempDir(t);
    await write(dir, [planned(), { type: 'cancel' }]);
    const whole = readFileSync(fileIn(dir));
    writeFileSync(fileIn(dir), Buffer.concat([whole, Buffer.alloc(4096)]));
    const { journal, events } = openSourceJournal(dir, clock);
    await journal.close();
    assert.equal(events.length, 2);
    assert.deepEqual(readFileSync(fileIn(dir)), whole);
  });

  test('a damaged journal is not opened, and not one byte of it is changed', async (t) => {
    const dir = tempDir(t);
    await write(dir, [planned(), { type: 'cancel' }, { type: 'undid', step: 'memory' }]);
    const whole = readFileSync(fileIn(dir));
    const damages = [
      ...[10, 300, whole.length - 30, whole.length - 1].map((at) => {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ 4;
        return bytes;
      }),
      Buffer.concat([whole, Buffer.from('{"v":1}\n')]),
      Buffer.concat([whole, Buffer.from([0xff, 10])]),
    ];
    for (const bytes of damages) {
      writeFileSync(fileIn(dir), bytes);
      const damaged = { code: 'GODWIT_JOURNAL_DAMAGED', message: /journal-source\.jsonl.*line \d/ };
      assert.throws(() => openSourceJournal(dir, clock), damaged);
      assert.throws(() => readJournals(dir), damaged);
      assert.deepEqual(readFileSync(fileIn(dir)), bytes);
    }
  });

  test('a journal is read without being changed', async (t) => {
    const dir = tempDir(t);
    assert.deepEqual(readJournals(dir), { source: [], destination: [], managed: [] });
    await write(dir, [planned()]);
    const torn = Buffer.concat([readFileSync(fileIn(dir)), Buffer.from('{"v":')]);
    writeFileSync(fileIn(dir), torn);
    assert.equal(readJournals(dir).source.length, 1);
    assert.deepEqual(readFileSync(fileIn(dir)), torn);
  });

  test("each side's journal is a separate file", async (t) => {
    const dir = tempDir(t);
    const { journal } = openDestinationJournal(dir, clock);
    await journal.append({ type: 'admitted', admission, host: 'b' }, 'sync');
    await journal.close();
    await write(dir, [planned()]);
    const { source, destination } = readJournals(dir);
    assert.deepEqual([source.length, destination.length], [1, 1]);
  });

  test('a journal accepts no event that it could not read again', async (t) => {
    const dir = tempDir(t);
    const { journal } = openSourceJournal(dir, clock);
    await journal.append(planned(), 'sync');
    const bad = { type: 'timeout', afterMs: Number.NaN } as const;
    await assert.rejects(journal.append(bad, 'sync'), { code: 'GODWIT_INTERNAL' });
    const long = { type: 'failed', reason: 'x'.repeat(100_000) } as const;
    await journal.append({ type: 'hypervisor', event: long }, 'later');
    await journal.append({ type: 'cancel' }, 'sync');
    await journal.close();
    assert.deepEqual(
      readJournals(dir).source.map(({ event }) => event.type),
      ['planned', 'hypervisor', 'cancel'],
    );
  });

  test('a long journal omits progress samples, and accepts nothing at its limit', async () => {
    const MIB = 1024 * 1024;
    const open = (bytes: number) => {
      const written: string[] = [];
      const file = {
        read: () => Buffer.alloc(0),
        write: (line: Buffer) => written.push(line.toString()) && line.length,
        truncate: () => {},
        sync: async () => {},
        close: () => {},
      };
      const found = { file, bytes, records: 3, sum: 0 };
      return { written, journal: new Journal<SourceEvent>(found, sourceRecord, clock) };
    };
    const young = open(0);
    await young.journal.append({ type: 'copied', disks: [] }, 'spared');
    assert.equal(young.written.length, 1);
    const long = open(8 * MIB);
    await long.journal.append({ type: 'copied', disks: [] }, 'spared');
    assert.equal(long.written.length, 0);
    await long.journal.append({ type: 'cancel' }, 'sync');
    assert.equal(long.written.length, 1);
    const full = open(32 * MIB);
    const refused = { code: 'GODWIT_TOO_LARGE', message: /journal of a migration/ };
    await assert.rejects(full.journal.append({ type: 'cancel' }, 'sync'), refused);
    assert.equal(full.written.length, 0);
  });

  test('a journal may be closed twice, and accepts nothing afterwards', async (t) => {
    const { journal } = openSourceJournal(tempDir(t), clock);
    await journal.append(planned(), 'later');
    await Promise.all([journal.close(), journal.close()]);
    await journal.close();
    assert.throws(() => journal.write(planned()), { code: 'GODWIT_INTERNAL' });
  });
});
