import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { systemClock } from '../../src/clock.ts';
import { openSourceJournal } from '../../src/host/journal/journal.ts';
import { planned } from '../migration/direct/samples.ts';

const JOURNAL = new URL('../../src/host/journal/journal.ts', import.meta.url).href;
const CLOCK = new URL('../../src/clock.ts', import.meta.url).href;

/** Writes records on a disk that somebody fills again after each of them, until one finds no room. */
const FULL = `
  const fs = await import('node:fs');
  const { openSourceJournal } = await import(${JSON.stringify(JOURNAL)});
  const { systemClock } = await import(${JSON.stringify(CLOCK)});
  const [dir, planned] = process.argv.slice(1);
  const log = fs.openSync(dir + '/serial.log', 'a');
  const fill = () => {
    for (const piece of [Buffer.alloc(65536, 1), Buffer.alloc(512, 1)]) {
      try { for (;;) fs.writeSync(log, piece); } catch {}
    }
  };
  const { journal } = openSourceJournal(dir, systemClock);
  journal.write(JSON.parse(planned));
  let count = 0;
  let code = '';
  fill();
  try {
    for (; count < 100000; count += 1) { journal.write({ type: 'cancel' }); fill(); }
  } catch (error) { code = error.code; }
  const records = fs.readFileSync(dir + '/journal-source.jsonl', 'utf8').split('\\n').length - 2;
  console.log(JSON.stringify({ count, code, records }));
`;

const mounts = spawnSync('unshare', ['-m', 'true']).status === 0;

test(
  'a journal has reserved room on a disk that another program keeps full',
  { skip: mounts ? false : 'only root mounts a small disk' },
  (t) => {
    const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const script =
      'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" --input-type=module -e "$3" "$1" "$4"';
    const words = ['sh', dir, process.execPath, FULL, JSON.stringify(planned())];
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, ...words], {
      encoding: 'utf8',
    });
    assert.equal(stderr, '');
    const found = z
      .object({ count: z.number(), code: z.string(), records: z.number() })
      .parse(JSON.parse(stdout));
    assert.equal(found.code, 'ENOSPC');
    assert.ok(found.count >= 32, `${found.count} records`);
    assert.equal(found.records, found.count);
  },
);

test('the reserved room of a journal exists while it is open, and is removed with it', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { journal } = openSourceJournal(dir, systemClock);
  const room = path.join(dir, 'journal-source.jsonl.room');
  const { size, mode } = statSync(room);
  assert.deepEqual([size, mode & 0o777], [256 * 1024, 0o600]);
  assert.ok(readFileSync(room).every((byte) => byte === 0));
  await journal.close();
  assert.equal(existsSync(room), false);
});
