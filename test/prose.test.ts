import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  corporaOf,
  hitLines,
  lowered,
  measure,
  risesAbove,
  type Measure,
  type Measures,
} from '../tools/prose.ts';
import type { Tree } from '../tools/tidy.ts';

function treeOf(files: Readonly<Record<string, string>>): Tree {
  return {
    files: Object.keys(files),
    text: (file) => files[file] ?? '',
    exists: (file) => file in files,
    bytes: (file) => (files[file] ?? '').length,
  };
}
const measuresOf = (files: Readonly<Record<string, string>>): Measures =>
  measure(corporaOf(treeOf(files)));
const hitsIn = (measures: Measures, corpus: string): Record<string, number> =>
  Object.fromEntries(
    Object.entries(measures[corpus] ?? {}).flatMap(([rule, { hits }]) =>
      hits === 0 ? [] : [[rule, hits]],
    ),
  );

/** A phrase with one hit of the rule, and the same without. */
const PHRASES: Readonly<Record<string, readonly [bad: string, good: string]>> = {
  'no-noun': ['this is no error', 'this is not an error'],
  'that-of': ['the disks and those of Anna', "the disks and Anna's disks"],
  'prep-which': ['hosts of which two run', 'hosts, and two of them run'],
  'where-if': ['where nothing answers', 'if all are silent'],
  'what-noun': ['full of what remains', 'full of pages'],
  'odd-word': ['it starts anew', 'it starts again'],
  'mental-verb': ['the kernel says', 'the kernel reports'],
  'also-when': ['also when it fails', 'even if it fails'],
  own: ['a disk of its own', 'a dedicated disk'],
};
const cleanWords = fc.array(fc.constantFrom('two', 'large', 'racks', 'move', 'quickly', 'today'), {
  maxLength: 8,
});
const phrase = fc.constantFrom(...Object.entries(PHRASES));

describe('the language rules', () => {
  test('each bad phrase among clean words is one hit of its rule alone, and its good form is none', () => {
    fc.assert(
      fc.property(cleanWords, phrase, cleanWords, (before, [rule, [bad, good]], after) => {
        const text = (middle: string): string => ['Racks', ...before, middle, ...after].join(' ');
        const found = measuresOf({ 'README.md': `${text(bad)}.\n\n${text(good)}.` });
        assert.deepEqual(hitsIn(found, 'pages'), { [rule]: 1 });
      }),
    );
  });

  test('a sentence of 31 words or with two semicolons is long, one with 30 words is not', () => {
    const words = (count: number): string => Array(count).fill('rack').join(' ');
    const longIn = (text: string) => hitsIn(measuresOf({ 'README.md': text }), 'pages')['long'];
    assert.equal(longIn(words(30)), undefined);
    assert.equal(longIn(words(31)), 1);
    assert.equal(longIn(`${words(9)}; ${words(9)}; ${words(9)}`), 1);
  });

  test('hits are counted per 1,000 words of their corpus', () => {
    const found = measuresOf({ 'README.md': 'Two racks start anew and move on.' });
    assert.deepEqual(found['pages']?.['odd-word'], { hits: 1, per1000: 142.8571 });
    assert.deepEqual(found['notes']?.['odd-word'], { hits: 0, per1000: 0 });
  });
});

describe('the corpora', () => {
  const bad = 'The rack begins anew at once';
  const of = (file: string, text: string): string[] =>
    corporaOf(treeOf({ [file]: text }))
      .filter(({ isNames, passages }) => !isNames && passages.some((each) => each.text === bad))
      .map(({ name }) => name);

  test('each text belongs to the corpus of its place', () => {
    assert.deepEqual(of('docs/a.md', bad), ['pages']);
    assert.deepEqual(of('bench/results/a.md', bad), ['notes']);
    assert.deepEqual(of('src/errors/a.ts', `row('${bad}')`), ['messages']);
    assert.deepEqual(of('src/cli/a/specs.ts', `summary: '${bad}'`), ['help']);
    assert.deepEqual(of('src/agent/a.ts', `log.warn({ a: f() }, '${bad}');`), ['log']);
    assert.deepEqual(of('web/src/pages/a.tsx', `<p>${bad}</p>`), ['dashboard']);
    assert.deepEqual(of('src/agent/a.ts', `/** Its start. ${bad} */`), ['comments']);
    assert.deepEqual(of('test/a.test.ts', `test('${bad}', () => {});`), ['tests']);
  });

  test('code, tables of commands and generated pages are not read', () => {
    assert.deepEqual(of('docs/a.md', `\`\`\`\n${bad}\n\`\`\``), []);
    assert.deepEqual(of('docs/cli.md', bad), []);
    assert.deepEqual(of('test/fixtures/a.ts', `test('${bad}', () => {});`), []);
  });
});

describe('the names', () => {
  const namesIn = (file: string, text: string): Record<string, number> => {
    const corpora = corporaOf(treeOf({ [file]: text })).filter(({ isNames }) => isNames);
    return Object.fromEntries(
      Object.entries(measure(corpora)).flatMap(([corpus, rules]) =>
        Object.values(rules).flatMap(({ hits }) => (hits === 0 ? [] : [[corpus, hits]])),
      ),
    );
  };

  test('a bare participle is not a type name, and a noun that ends in the same letters is one', () => {
    for (const name of ['Asked', 'Known', 'Seen', 'Measured']) {
      assert.deepEqual(namesIn('src/a.ts', `export interface ${name} {}`), { types: 1 });
    }
    for (const name of ['Speed', 'Feed', 'AdmissionRequest', 'SeenGuest']) {
      assert.deepEqual(namesIn('src/a.ts', `type ${name} = string;`), {});
    }
  });

  test('MOST_ and LEAST_ constants and functions that end in Of are hits', () => {
    const least = ['LEA', 'ST_A'].join('');
    assert.deepEqual(namesIn('src/a.ts', `const ${least} = 1;`), { constants: 1 });
    assert.deepEqual(namesIn('src/a.ts', 'function stepOf() {}\nconst hostOf = (a) => a;'), {
      functions: 2,
    });
    assert.deepEqual(namesIn('src/a.ts', 'const MAX_A = 1;\nfunction readStep() {}'), {});
  });

  test('a test name that starts with a verb has no subject, and one that starts with a noun has one', () => {
    const subjectless = [
      'is refused',
      'says why',
      'of two hosts',
      'names the host',
      'what is left',
    ];
    for (const name of subjectless) {
      assert.deepEqual(namesIn('test/a.ts', `test('${name}', f);`), { 'test starts': 1 }, name);
    }
    const subjects = [
      'a guest is kept',
      'names of guests are kept',
      'checks are made',
      'QEMU ends',
    ];
    for (const name of subjects) {
      assert.deepEqual(namesIn('test/a.ts', `test('${name}', f);`), {}, name);
    }
  });

  test('a comment that starts without a subject is a hit, and a question is not', () => {
    assert.deepEqual(namesIn('src/a.ts', '/** Of a host. */'), { 'comment starts': 1 });
    assert.deepEqual(namesIn('src/a.ts', '// What is left of it.'), { 'comment starts': 1 });
    assert.deepEqual(namesIn('src/a.ts', '// What is left?'), {});
    assert.deepEqual(namesIn('src/a.ts', '/** Memory of a host. */'), {});
  });
});

const figures = fc.record({ hits: fc.nat(9), per1000: fc.nat(9) });
const someMeasures: fc.Arbitrary<Measures> = fc.dictionary(
  fc.constantFrom('pages', 'tests'),
  fc.dictionary(fc.constantFrom('own', 'long'), figures, { noNullPrototype: true }),
  { noNullPrototype: true },
);
const entriesOf = (measures: Measures): [string, string, Measure][] =>
  Object.entries(measures).flatMap(([corpus, rules]) =>
    Object.entries(rules).map(([rule, each]): [string, string, Measure] => [corpus, rule, each]),
  );

describe('the baseline', () => {
  const before: Measures = { pages: { own: { hits: 4, per1000: 2 } } };
  const rises = (now: Measure): number => risesAbove(before, { pages: { own: now } }).length;

  test('a measure fails only if its hits and its share rose', () => {
    assert.equal(rises({ hits: 5, per1000: 2.1 }), 1);
    assert.equal(rises({ hits: 4, per1000: 9 }), 0);
    assert.equal(rises({ hits: 9, per1000: 2 }), 0);
  });

  test('a measure without a baseline fails with its first hit', () => {
    assert.equal(risesAbove({}, before).length, 1);
    assert.equal(risesAbove({}, { pages: { own: { hits: 0, per1000: 0 } } }).length, 0);
  });

  test('an update never raises a number, has exactly the present measures, and hides no rise', () => {
    fc.assert(
      fc.property(someMeasures, someMeasures, (baseline, now) => {
        const next = lowered(baseline, now);
        const places = (of: Measures) => entriesOf(of).map(([corpus, rule]) => [corpus, rule]);
        assert.deepEqual(places(next), places(now));
        for (const [corpus, rule, { hits, per1000 }] of entriesOf(next)) {
          const old = baseline[corpus]?.[rule];
          const present = now[corpus]?.[rule];
          assert.ok(present !== undefined && hits <= present.hits && per1000 <= present.per1000);
          assert.ok(old === undefined || (hits <= old.hits && per1000 <= old.per1000));
        }
        const hidden = risesAbove(baseline, now).filter(
          ({ corpus, rule }) =>
            baseline[corpus]?.[rule] !== undefined &&
            !risesAbove(next, now).some((each) => each.corpus === corpus && each.rule === rule),
        );
        assert.deepEqual(hidden, []);
      }),
    );
  });

  test('a hit is printed with its place, rule, suggestion and text', () => {
    const corpora = corporaOf(treeOf({ 'README.md': 'Racks.\n\nTwo racks start anew today.' }));
    const [line = '', ...others] = hitLines(corpora, (_corpus, rule) => rule === 'odd-word');
    assert.deepEqual(others, []);
    assert.match(line, /^README\.md:3 pages odd-word \(.+\): Two racks start anew today\.$/);
  });
});
