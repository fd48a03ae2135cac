import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { SOURCE_JOURNAL } from '../../../src/host/journal/journal.ts';
import { JournalReader } from '../../../src/host/journal/journal-reader.ts';
import { planned } from '../../migration/direct/samples.ts';
import { recordsOf, textOf } from '../journals.ts';

const records = recordsOf([
  planned(),
  { type: 'cancel' },
  { type: 'undid', step: 'memory' },
  { type: 'timeout', afterMs: 1 },
]);
const text = textOf(records);

function scene(t: TestContext) {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'journal-source.jsonl');
  return { file, reader: new JournalReader(file, SOURCE_JOURNAL) };
}

test('a journal is read as far as it has grown, even with a partial line', (t) => {
  const { file, reader } = scene(t);
  assert.deepEqual(reader.read(), []);
  for (let at = 0; at < text.length; at += 1) {
    appendFileSync(file, text.subarray(at, at + 1));
    const found = reader.read();
    const lines =
      text
        .subarray(0, at + 1)
        .toString('latin1')
        .split('\n').length - 1;
    assert.deepEqual(found, records.slice(0, lines));
  }
});

test('each byte is read once, and earlier ones are not read again', (t) => {
  const { file, reader } = scene(t);
  const half = text.length - 100;
  writeFileSync(file, text.subarray(0, half));
  const found = reader.read();
  const changed = Buffer.from(text);
  changed[10] = 0;
  writeFileSync(file, changed);
  assert.equal(reader.read(), found);
  assert.deepEqual(found, records);
  assert.throws(() => new JournalReader(file, SOURCE_JOURNAL).read(), {
    code: 'GODWIT_JOURNAL_DAMAGED',
  });
});

test('a torn end that a mover cuts and overwrites is read in its new form', (t) => {
  const { file, reader } = scene(t);
  writeFileSync(file, text.subarray(0, text.length - 5));
  assert.equal(reader.read().length, 3);
  truncateSync(file, text.indexOf(10, text.length - 200) + 1);
  writeFileSync(file, text);
  assert.deepEqual(reader.read(), records);
});

test('another file in its place is read from the beginning', (t) => {
  const { file, reader } = scene(t);
  writeFileSync(file, text);
  assert.equal(reader.read().length, 4);
  const other = textOf(recordsOf([planned()]));
  writeFileSync(`${file}.new`, other);
  renameSync(`${file}.new`, file);
  assert.equal(reader.read().length, 1);
  rmSync(file);
  assert.deepEqual(reader.read(), []);
});

test('damage is reported each time, until the file is repaired', (t) => {
  const { file, reader } = scene(t);
  const bytes = Buffer.from(text);
  bytes[text.length - 30] = 0;
  writeFileSync(file, bytes);
  const damaged = { code: 'GODWIT_JOURNAL_DAMAGED' };
  assert.throws(() => reader.read(), damaged);
  assert.throws(() => reader.read(), damaged);
  assert.deepEqual(readFileSync(file), bytes);
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
  assert.deepEqual(reader.read(), records);
});

test('a file that is too large is not read', (t) => {
  const { file, reader } = scene(t);
  writeFileSync(file, text);
  truncateSync(file, 65 * 1024 * 1024);
  assert.throws(() => reader.read(), { code: 'GODWIT_TOO_LARGE' });
});
