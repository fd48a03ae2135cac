import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runSiteProgram, type SiteProgram } from '../../src/hooks/site-program.ts';
import { gone } from '../process-end.ts';

/** Nothing else of this process runs for so long, ms. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

const never = new AbortController().signal;

describe('a site program', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-site-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const shell = (script: string, given: Partial<SiteProgram> = {}) =>
    runSiteProgram({
      file: '/bin/sh',
      args: ['-c', script],
      deadlineMs: 10_000,
      signal: never,
      ...given,
    });

  test('a site program gets its input and its environment, and its last line is read', async () => {
    const answer = await shell('read -r line; echo first; echo "$line $WORD"', {
      input: 'hello\n',
      environment: { WORD: 'there' },
    });
    assert.deepEqual(answer, { ok: true, words: 'hello there' });
  });

  test('a site program need not read its input', async () => {
    assert.ok((await shell('exec <&-; exit 0', { input: 'x'.repeat(1_000_000) })).ok);
  });

  test('a site program that fails gives the reason in its words', async () => {
    const answer = await shell('echo no route >&2; exit 3');
    assert.deepEqual(answer, {
      ok: false,
      words: 'no route',
      why: 'ended with 3: no route',
      code: 3,
    });
  });

  test('a site program that ends before its output is read is heard all the same', async () => {
    const answer = shell('sleep 0.2; echo no route >&2; exit 3');
    const other = spawn('/bin/sh', ['-c', 'echo here']);
    // The other is over, and read; meanwhile the program ends, and both ends are noticed at once, before its words are.
    other.stdout.once('data', () => block(400));
    block(100);
    assert.equal((await answer).words, 'no route');
  });

  test('a site program with much output is read up to a limit', async () => {
    const { words } = await shell('head -c 1000000 /dev/zero | tr "\\0" x; exit 1');
    assert.ok(words.length <= 500);
  });

  test('a missing site program is an answer and not an exception', async () => {
    const answer = await shell('', { file: path.join(directory, 'none') });
    assert.match(answer.ok ? '' : answer.why, /^cannot be started/);
  });

  test('a site program that takes too long is ended with all its children', async () => {
    const file = path.join(directory, 'child');
    const answer = await shell(`sleep 60 & echo $! >${file}; wait`, { deadlineMs: 300 });
    assert.match(answer.ok ? '' : answer.why, /^took longer than 300 ms/);
    await gone(Number(await readFile(file, 'utf8')));
  });

  test('a site program is ended when its caller gives up, and not started for one that never waited', async () => {
    const stop = new AbortController();
    const running = shell('sleep 60', { signal: stop.signal });
    stop.abort();
    assert.equal((await running).ok, false);
    const late = await shell('exit 0', { signal: stop.signal });
    assert.deepEqual(late, { ok: false, words: '', why: 'nobody waited for it' });
  });

  test('a site program ends with its process, even if a child still has its output open', async () => {
    const file = path.join(directory, 'left');
    assert.ok((await shell(`sleep 60 & echo $! >${file}`)).ok);
    process.kill(Number(await readFile(file, 'utf8')), 'SIGKILL');
  });
});
