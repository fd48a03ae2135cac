import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { meantBy } from '../tools/test-patterns.ts';

const TEXTS: Readonly<Record<string, string>> = {
  'test/a/one.test.ts': "test('keeps the guest', () => {});",
  'test/a/two.test.ts': "test('keeps 2 guests', () => {});",
  'test/b/three.test.ts': "test('says why', () => {});",
};
const ALL = Object.keys(TEXTS);
const meant = (...patterns: string[]) => meantBy(patterns, ALL, (file) => TEXTS[file] ?? '');

test('a pattern selects files by their path, and without any pattern all are selected', () => {
  assert.deepEqual(meant(), { files: ALL, names: [] });
  assert.deepEqual(meant('test/a', 'three'), { files: ALL, names: [] });
  assert.deepEqual(meant('two'), { files: ['test/a/two.test.ts'], names: [] });
});

test('a pattern that no path contains is the name of a test, and only files with that test run', () => {
  assert.deepEqual(meant('says why'), { files: ['test/b/three.test.ts'], names: ['says why'] });
  assert.deepEqual(meant(String.raw`keeps \d`), {
    files: ['test/a/two.test.ts'],
    names: [String.raw`keeps \d`],
  });
});

test('a pattern without a match is named, and nothing runs for it', () => {
  assert.deepEqual(meant('test/c'), { unknown: ['test/c'] });
  assert.deepEqual(meant('test/a', 'test/c', 'fuor'), { unknown: ['test/c', 'fuor'] });
  assert.deepEqual(meant('says why', 'says (what'), { unknown: ['says (what'] });
});

/** Not as it would stand in this text. */
const NOWHERE = ['test', 'no', 'such'].join('/');

test('the program names the meaning of each pattern', () => {
  for (const word of ['unit', 'e2e']) {
    assert.throws(
      () => execFileSync(process.execPath, ['tools/test.ts', word, NOWHERE], { stdio: 'pipe' }),
      ({ status, stderr }: { status: number; stderr: Buffer }) => {
        assert.equal(status, 2);
        return stderr.toString().includes(`"${NOWHERE}" is in no`);
      },
    );
  }
});
