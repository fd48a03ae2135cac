import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../src/log.ts';
import { keepShare } from '../../src/links/budget.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { joined, parties } from './session-pair.ts';
import { untilSo } from '../until.ts';

const MB = 1_000_000;

test("sessions of one host keep to its budget together, and one uses the other's rest", async (t) => {
  const all = await parties(t);
  const directory = path.join(tempDir(t), 'budget');
  const budget = { directory, bytesPerS: 8 * MB };
  const ends = [await joined(t, all), await joined(t, all)] as const;
  const keeping = ends.map(({ source }) => keepShare(source, budget, silentLog));
  const rates = () => ends.map(({ source }) => source.rateBytesPerS ?? Infinity);
  for (const { source, target } of ends) {
    target.onMessage = () => Promise.resolve();
    const flood = async (): Promise<void> => {
      for (;;) await source.send(32, Buffer.alloc(200_000));
    };
    flood().catch(() => undefined);
  }
  await untilSo(() => rates().every((rate) => rate === 4 * MB));
  await Promise.allSettled([ends[0].source.close(0)]);
  await untilSo(() => rates()[1] === 8 * MB);
  ends[1].source.abort(new Error('enough'));
  await Promise.all(keeping);
  assert.deepEqual(readdirSync(directory), []);
});

test('the claim of a mover that is gone is ignored and removed; an invalid claim is left alone', async (t) => {
  const directory = path.join(tempDir(t), 'budget');
  mkdirSync(directory);
  const gone = path.join(directory, `${'0'.repeat(32)}.json`);
  writeFileSync(gone, JSON.stringify({ bytesPerS: 1e9, isHeldBack: true }));
  utimesSync(gone, 1000, 1000);
  const damaged = path.join(directory, `${'1'.repeat(32)}.json`);
  writeFileSync(damaged, '{');
  const other = path.join(directory, 'notes.txt');
  writeFileSync(other, 'x');
  const { source } = await joined(t, await parties(t));
  const keeping = keepShare(source, { directory, bytesPerS: MB }, silentLog);
  await untilSo(() => source.rateBytesPerS === MB);
  source.abort(new Error('enough'));
  await keeping;
  assert.deepEqual([existsSync(gone), existsSync(damaged), existsSync(other)], [false, true, true]);
});

test('a session continues at its present rate if the directory of claims cannot be used', async (t) => {
  const file = path.join(tempDir(t), 'file');
  writeFileSync(file, '');
  const { source } = await joined(t, await parties(t), { maxBytesPerS: 5 * MB });
  const keeping = keepShare(source, { directory: file, bytesPerS: MB }, silentLog);
  source.abort(new Error('enough'));
  await keeping;
  assert.equal(source.rateBytesPerS, 5 * MB);
});
