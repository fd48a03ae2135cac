import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { ASIDE, putAside, type AsideName } from '../../shapes/aside.ts';
import { documentOf } from '../../shapes/document.ts';
import { routesFor } from '../../shapes/plan.ts';
import { argvOf } from '../../shapes/start.ts';
import { SHAPES } from '../../shapes/table.ts';
import { wordsOf } from '../../shapes/shell-words.ts';

const NAMES = Object.keys(ASIDE) as AsideName[];

describe('the table of shapes', () => {
  test('the table of shapes names each shape once, with its peculiarity', () => {
    const names = SHAPES.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, what } of SHAPES) {
      assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
      assert.match(what, /^\S.{5,}[^.]$/);
    }
  });

  test('the table of shapes removes only the features that this machine lacks, by named rules', () => {
    for (const { name, line, aside } of SHAPES) {
      const words = wordsOf(line);
      const needed = NAMES.filter((rule) => ASIDE[rule].apply(words).join(' ') !== words.join(' '));
      assert.deepEqual(aside.toSorted(), needed.toSorted(), name);
      const once = putAside(words, NAMES);
      assert.deepEqual(putAside(once, NAMES), once, `${name}: nothing is left to put aside`);
    }
  });

  test("the table of shapes starts nothing outside the trial's folder", () => {
    for (const shape of SHAPES) {
      const argv = argvOf(shape, '/r');
      const others = argv
        .flatMap((word) => [...word.matchAll(/(?:^|[=:"',])(\/[a-z][^,:"']*)/g)])
        .map(([, file = '']) => file)
        .filter((file) => !file.startsWith('/r/') && !/^\/(dev|r$)/.test(file));
      assert.deepEqual(others, [], shape.name);
    }
  });

  test('the table of shapes moves each shape in at least one way, and in another with another seed', () => {
    const programs = [
      { file: 'old', version: '7.2' },
      { file: 'new', version: '10.0' },
    ];
    for (const shape of SHAPES) {
      const all = routesFor(shape, programs, { all: true, seed: 1 });
      const seen = new Set(
        [1, 2, 3, 4, 5, 6].map(
          (seed) => routesFor(shape, programs, { all: false, seed })[0]?.name ?? '',
        ),
      );
      assert.equal(seen.size, all.length, shape.name);
    }
  });

  test('the page docs/guests.md is up to date; npm run shapes -- --write updates it', () => {
    assert.equal(readFileSync('docs/guests.md', 'utf8'), documentOf(SHAPES));
  });
});

describe('the words of a line', () => {
  test('the words of a line follow the rules of a shell', () => {
    assert.deepEqual(wordsOf(`a  -b 'c d' "e'f" \\\n g='h,i'`), ['a', '-b', 'c d', "e'f", 'g=h,i']);
    assert.throws(() => wordsOf(`a 'b`), /never closed/);
  });
});
