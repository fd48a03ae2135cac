import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { growthOf } from '../tools/regex/growth.ts';
import { regexLiterals } from '../tools/regex/literals.ts';
import * as tidy from '../tools/tidy.ts';

/** Files that make regular expressions from texts as they are loaded: they are checked as they are made. */
const MADE_ON_LOAD = [
  'src/cli/ascii.ts',
  'src/words/terminal-width.ts',
  'src/protocol/disk.ts',
  'src/protocol/iscsi-url.ts',
  'src/protocol/network.ts',
  'src/protocol/nfs-url.ts',
  'src/protocol/rbd-name.ts',
];

/** Files that make them later, each with an example of what they make. */
const MADE_LATER: Readonly<Record<string, readonly [source: string, flags: string]>> = {
  'src/agent/host/inventory-parse.ts': ['^vendor_id\\s*:\\s*(.*)$', 'm'],
  'src/agent/host/load-parse.ts': ['^some .*total=(\\d{1,18})$', 'm'],
  'src/drivers/criu/host/processes.ts': ['^VmRSS:\\s+(\\d+) kB', 'm'],
  'src/drivers/qemu/guest/pins.ts': ['^Cpus_allowed_list:\\s*(\\S*)$', 'm'],
  'src/drivers/qemu/host-memory.ts': ['\\sMemFree:\\s+(\\d+) kB$', 'm'],
  'src/drivers/qemu/same-machine/reasons.ts': ['^(?:^.*\\/(image|file))$', ''],
  'src/drivers/qemu/spec/moved-argv.ts': ['(^|,)file=(?:[^,]|,,)*', ''],
  'src/drivers/qemu/programs/tsc.ts': ['^flags\\s*:(.*)$', 'm'],
  'src/drivers/qemu/user/access.ts': ['^Uid:\\s+\\d+\\s+(\\d+)', 'm'],
  'src/host/machine/guest-counters.ts': ['^usage_usec (\\d{1,15})$', 'm'],
  'src/system/kernel-tables.ts': ['^MemTotal:\\s*(\\d+) kB', 'm'],
};

const tree = tidy.treeAt(path.resolve(import.meta.dirname, '..'));
const programs = [...tidy.programs(tree, 'src/'), ...tidy.programs(tree, 'web/')];

function problem(where: string, { source, flags }: { source: string; flags: string }): string[] {
  const growth = growthOf(source, flags);
  if (growth.kind === 'linear') return [];
  const pump = JSON.stringify(growth.pump);
  return [`${where}: the time of /${source}/${flags} is ${growth.kind} in repetitions of ${pump}`];
}

describe('the regular expressions of this repository', () => {
  test('a regular expression of this repository takes time linear in the length of the text', () => {
    const all = programs.flatMap((file) =>
      regexLiterals(tree.text(file)).map((literal) => ({ file, literal })),
    );
    assert.ok(all.length > 500, `only ${all.length} were found`);
    const problems = all.flatMap(({ file, literal }) =>
      problem(`${file}:${literal.line}`, literal),
    );
    assert.deepEqual(problems, []);
  });

  test('a regular expression made from a text takes linear time as well', async (t) => {
    const made: RegExp[] = [];
    const Own = globalThis.RegExp;
    t.mock.property(
      globalThis,
      'RegExp',
      class extends Own {
        constructor(pattern: string | RegExp, flags?: string) {
          super(pattern, flags);
          made.push(this);
        }
      } as RegExpConstructor,
    );
    for (const file of MADE_ON_LOAD) await import(path.resolve(import.meta.dirname, '..', file));
    t.mock.restoreAll();
    assert.ok(made.length > MADE_ON_LOAD.length, `only ${made.length} were made`);
    const examples = Object.entries(MADE_LATER).map(([file, [source, flags]]) => {
      return problem(file, { source, flags });
    });
    assert.deepEqual(
      [...made.map((each) => problem('made on load', each)), ...examples].flat(),
      [],
    );
    const makers = programs.filter((file) => /\bRegExp\(/.test(tree.text(file)));
    assert.deepEqual(makers, [...MADE_ON_LOAD, ...Object.keys(MADE_LATER)].toSorted());
  });
});

describe('the growth of a regular expression', () => {
  const kinds: readonly (readonly [RegExp, ReturnType<typeof growthOf>['kind']])[] = [
    // The former expression over definitions of libvirt: 10 seconds for 297 KiB.
    [/<(title|hostdev)\b(?:[^>]*\/>|.*?<\/\1>)/gs, 'polynomial'],
    [/\s+$/, 'polynomial'],
    [/^\s*(.*?)\s*$/, 'polynomial'],
    [/^\d+\d*$/, 'polynomial'],
    [/^a(?=.*b.*c)/, 'polynomial'],
    [/(?=.*b)a/, 'polynomial'],
    [/"(?:[^"\\]|\\.)*"/, 'polynomial'],
    [/^(?:[ab]+\n?)*$/m, 'exponential'],
    [/(?:a*)*b/, 'exponential'],
    [/(?:a|[ab])*c/y, 'exponential'],
    [/(?:a{0,5}){0,1000}b/y, 'exponential'],
    [/^a+$/, 'linear'],
    [/a+/, 'linear'],
    [/a+$/y, 'linear'],
    [/\s{1,64}$/, 'linear'],
    [/^(?:[a-z]{1,63}\.)*[a-z]{1,63}$/, 'linear'],
    [/^name\s*:\s*(.*)$/m, 'linear'],
    [/"(?:[^"\\]|\\[^])*"?/g, 'linear'],
    [/\?[^]*$/, 'linear'],
    [/(?<=:\/\/)[^/]*@/, 'linear'],
  ];
  for (const [regex, kind] of kinds)
    test(`a regular expression ${String(regex)} is ${kind}`, () => {
      const growth = growthOf(regex.source, regex.flags);
      assert.equal(growth.kind, kind, JSON.stringify(growth));
    });

  test('regular expressions are found in code, and not in texts, comments and divisions', () => {
    const text = [
      'const a = b / c / d; // /no/',
      '/* /no/ */ const e = `/no/ ${f.match(/yes[/]1/g)} ${{ g: `/no/` }.g / 2} /no/`;',
      `const h = '/no/'.split(/yes2\\//);`,
      'return /yes3/u.test(i) ? (j) / 2 / k : /yes4/;',
    ].join('\n');
    assert.deepEqual(
      regexLiterals(text).map(({ source, flags, line }) => [source, flags, line]),
      [
        ['yes[/]1', 'g', 2],
        ['yes2\\/', '', 3],
        ['yes3', 'u', 4],
        ['yes4', '', 4],
      ],
    );
  });
});
