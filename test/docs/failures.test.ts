import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { CHECKS } from '../../src/migration/preflight/table.ts';

const VERDICTS = ['covered', 'reported', 'by design', 'not ours', 'open'] as const;
/** As many entries as the catalogue has. */
const ENTRIES = 103;
const MIN_COVERED = 80;

const page = readFileSync(new URL('../failures.md', import.meta.url), 'utf8');
const entries = page.split('\n').flatMap((line) => {
  const cells = line.split(' | ');
  const number = /^\| (\d+)$/.exec(cells[0] ?? '')?.[1];
  if (number === undefined) return [];
  const [, seen = '', verdict = '', what = '', by = '', tests = ''] = cells;
  const named = tests
    .replace(/ ?\|$/, '')
    .split('<br>')
    .filter((each) => each !== '');
  return [{ number: Number(number), seen, verdict, what, by, named }];
});

const read = new Map<string, string>();
function textOf(file: string): string {
  const text = read.get(file) ?? readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  read.set(file, text);
  return text;
}

test('the page has each entry of the catalogue once, with one of its verdicts', () => {
  assert.deepEqual(
    entries.map(({ number }) => number),
    Array.from({ length: ENTRIES }, (_none, at) => at + 1),
  );
  for (const { number, seen, verdict, what } of entries) {
    assert.ok((VERDICTS as readonly string[]).includes(verdict), `${number}: ${verdict}`);
    assert.ok(seen !== '' && what !== '', `${number} says nothing`);
  }
});

test('covered and reported failures name existing tests, and no other failure names any', () => {
  for (const { number, verdict, named } of entries) {
    const isShown = verdict === 'covered' || verdict === 'reported';
    assert.equal(named.length > 0, isShown, `${number} is ${verdict} with ${named.length} tests`);
    for (const each of named) {
      const [, file = '', name = ''] = /^`([^`]+)`: (.+)$/.exec(each) ?? [];
      assert.match(file, /^test\/.*\.(test|e2e)\.ts$/, `${number}: ${each}`);
      assert.ok(textOf(file).includes(`'${name}'`), `${number}: ${file} has no test “${name}”`);
    }
  }
});

/** What a file runs of this repository, by its imports and those of what it imports. */
function reachedFrom(file: string, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, name = ''] of textOf(file).matchAll(
    /^(?:import|export) (?!type )[^;]*?'(\.[^']+\.ts)'/gm,
  ))
    reachedFrom(path.posix.join(path.posix.dirname(file), name), found);
  return found;
}

test('a failure that unit tests cover names its file, and one of the tests reaches that file', () => {
  for (const { number, verdict, by, named } of entries) {
    const units = named.flatMap((each) => /^`(test\/[^`]+\.test\.ts)`/.exec(each)?.[1] ?? []);
    const isNamed = verdict === 'covered' && units.length > 0;
    assert.equal(by !== '', isNamed, `${number} names ${by === '' ? 'no file' : by}`);
    if (!isNamed) continue;
    const [, file = ''] = /^`([^`]+\.ts)`$/.exec(by) ?? [];
    assert.ok(
      units.some((unit) => reachedFrom(unit).has(file)),
      `${number}: no unit test of it reaches ${by}`,
    );
  }
});

test('checks that are named on the page exist', () => {
  const names = new Set<string>(CHECKS.map(({ name }) => name));
  for (const { number, what } of entries)
    for (const [, name = ''] of what.matchAll(/check `([^`]+)`/g))
      assert.ok(names.has(name), `${number}: there is no check ${name}`);
});

test('the counts of the page match its rows, and enough failures are covered', () => {
  const count = (word: string): number => entries.filter(({ verdict }) => verdict === word).length;
  const [covered = 0, ...others] = VERDICTS.map(count);
  assert.ok(covered >= MIN_COVERED, `${covered} are covered`);
  const [reported, design, foreign, open] = others;
  assert.ok(
    page.includes(
      `${covered} are covered, ${reported} reported, ${design} by design, ${foreign} not ours, ${open} open.`,
    ),
  );
});
