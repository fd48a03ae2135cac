import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { dirtyProgram, type RewriteOf } from '../../bench/wire-dirty.ts';
import { withDeadline } from '../../src/deadline.ts';
import { systemClock } from '../../src/clock.ts';

const PAGE = 4096;
const REGION = 64 * PAGE;
const WORDS = PAGE / 8;

/** Runs a guest's program on this machine until `enough` says so of its region, filled and now. */
async function dirtied(
  rewriteOf: RewriteOf | undefined,
  enough: (filled: Buffer, now: Buffer) => boolean,
): Promise<readonly [Buffer, Buffer]> {
  const dir = await mkdtemp(path.join(tmpdir(), 'godwit-dirty-'));
  const file = path.join(dir, 'dirty-pages');
  const plan = { guest: 1, regionBytes: REGION, bytesPerSecond: 2 * REGION, rewriteOf };
  await writeFile(file, dirtyProgram(plan), { mode: 0o755 });
  const program = spawn(file);
  try {
    return await withDeadline('pages to be dirtied', 20_000, undefined, async (signal) => {
      let filled: Buffer | undefined;
      for (;;) {
        const now = await regionOf(program.pid ?? 0);
        // Its last word is the last that is filled.
        if (now?.readBigUInt64LE(REGION - 8) !== 0n) filled ??= now;
        if (filled !== undefined && now !== undefined && enough(filled, now)) return [filled, now];
        await systemClock.sleep(5, signal);
      }
    });
  } finally {
    program.kill('SIGKILL');
    await rm(dir, { recursive: true });
  }
}

async function regionOf(pid: number): Promise<Buffer | undefined> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
  const starts = maps.split('\n').map((line) => /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? []);
  const found = starts.find(
    ([, from = '0', to = '0']) => Number.parseInt(to, 16) - Number.parseInt(from, 16) === REGION,
  );
  if (found === undefined) return undefined;
  const memory = await open(`/proc/${pid}/mem`);
  try {
    const region = Buffer.alloc(REGION);
    await memory.read(region, 0, REGION, Number.parseInt(found[1] ?? '', 16));
    return region;
  } finally {
    await memory.close();
  }
}

/** How many words of each page differ. */
function changedWords(before: Buffer, now: Buffer): number[] {
  return Array.from({ length: REGION / PAGE }, (_, page) => {
    const words = Array.from({ length: WORDS }, (__, word) => page * PAGE + word * 8);
    return words.filter((at) => before.readBigUInt64LE(at) !== now.readBigUInt64LE(at)).length;
  });
}

const everyPage = (before: Buffer, now: Buffer): boolean =>
  changedWords(before, now).every((words) => words > 0);

test('a guest’s program counts up one word in page after page', async () => {
  const [filled, now] = await dirtied(undefined, everyPage);
  assert.deepEqual(new Set(changedWords(filled, now)), new Set([1]));
});

test('a guest’s program writes one of so many pages anew as a whole', async () => {
  const isAnew = (words: number, page: number): boolean => page % 4 !== 0 || words > WORDS / 2;
  const [filled, now] = await dirtied(
    4,
    (before, after) => everyPage(before, after) && changedWords(before, after).every(isAnew),
  );
  const others = changedWords(filled, now).filter((_, page) => page % 4 !== 0);
  assert.deepEqual(new Set(others), new Set([1]));
});
