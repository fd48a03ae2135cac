import assert from 'node:assert/strict';
import { appendFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SyncedLines, writeAll } from '../../../src/system/files/synced-lines.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const full = (lines: readonly string[]): string[] => lines.filter((line) => line !== '');

test('lines are read as they were added, even behind one that a power loss has cut', (t) => {
  const file = path.join(tempDir(t), 'lines');
  const lines = new SyncedLines(file);
  assert.deepEqual(full(lines.read()), []);
  lines.append(['one', 'two']);
  appendFileSync(file, 'cu');
  lines.append(['three']);
  assert.deepEqual(full(new SyncedLines(file).read()), ['one', 'two', 'cu', 'three']);
});

test('rewritten lines replace all others, and the count follows', (t) => {
  const file = path.join(tempDir(t), 'lines');
  const lines = new SyncedLines(file);
  for (let at = 0; at < 5; at += 1) lines.append([`line ${at}`]);
  assert.equal(lines.count, 10);
  lines.writeAnew(['last']);
  assert.equal(lines.count, 1);
  assert.deepEqual(full(new SyncedLines(file).read()), ['last']);
  assert.equal(existsSync(`${file}.tmp`), false);
});

test('all lines are written, in however many pieces the kernel accepts, or there is an error', () => {
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      (all, sizes) => {
        const written: number[] = [];
        writeAll(Buffer.from(all), (bytes) => {
          const taken = Math.min(Number(sizes.next().value), bytes.length);
          written.push(...bytes.subarray(0, taken));
          return taken;
        });
        assert.deepEqual(written, [...all]);
      },
    ),
  );
  assert.throws(() => writeAll(Buffer.from('abc'), () => 0), /3 bytes could not be written/);
});
