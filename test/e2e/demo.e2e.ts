/**
 * The demo as a user runs it: a process of its own that builds a lab, moves a guest in each mode and takes
 * all down again, and that takes all down when it is broken off.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { labDown } from '../../lab/down.ts';
import { demo, labOf, namespacesLeft } from './support/demo-run.ts';
import { labDirectory } from '../../src/cli/connection/labs.ts';

/** A small guest: what is tested is the demo, on a machine with two cores. */
const SMALL = ['--memory', '256M', '--working-set', '32M', '--dirty', '8MiB/s'];

describe('the demo', () => {
  test('the demo moves a guest in each mode, with memory and connection intact, and leaves nothing behind', async () => {
    const ended = await demo(['--json', ...SMALL]);
    const shown = `exit ${ended.code}\n${ended.stderr}\n${ended.stdout}`;
    assert.equal(ended.code, 0, shown);
    const result = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as {
      ok: boolean;
      leftBehind: string[];
      migrations: Record<string, unknown>[];
    };
    assert.ok(result.ok, shown);
    assert.deepEqual(result.leftBehind, []);
    assert.deepEqual(
      result.migrations.map(({ mode }) => mode),
      ['precopy', 'postcopy', 'hybrid'],
    );
    for (const each of result.migrations) {
      if (typeof each['skipped'] === 'string') continue;
      assert.equal(each['connectionKept'], true, shown);
      assert.equal(each['memoryVerified'], true, shown);
      for (const name of ['totalMs', 'downtimeMs', 'clientGapMs', 'bytes', 'throughput']) {
        assert.ok(Number(each[name]) > 0, `${String(each['mode'])} ${name}\n${shown}`);
      }
    }
    assert.equal(existsSync(labDirectory(labOf(ended))), false);
    assert.equal(await namespacesLeft(labOf(ended)), false);
  });

  test('the demo takes the lab down when it is interrupted in the middle of a move', async () => {
    const ended = await demo(['--json', ...SMALL], (stderr, interrupt) => {
      if (/^pre-copy {2}/m.test(stderr) && stderr.includes('sending memory')) interrupt();
    });
    try {
      assert.equal(ended.code, 130, ended.stderr);
      assert.equal(existsSync(labDirectory(labOf(ended))), false, ended.stderr);
      assert.equal(await namespacesLeft(labOf(ended)), false);
      const { ok, leftBehind } = JSON.parse(ended.stdout) as { ok: boolean; leftBehind: string[] };
      assert.deepEqual({ ok, leftBehind }, { ok: false, leftBehind: [] });
    } finally {
      await labDown(labOf(ended));
    }
  });

  test('a mistake in the command line is reported in one line of JSON, and nothing is built', async () => {
    const { code, stdout, stderr } = await demo(['--json', '--memry', '1G']);
    assert.equal(code, 2);
    const { error } = JSON.parse(stdout) as { error: { code: string; hint: string } };
    assert.equal(error.code, 'GODWIT_USAGE');
    assert.match(error.hint, /--memory/);
    assert.doesNotMatch(stderr, /lab/);
  });
});
