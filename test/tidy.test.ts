import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { driverNameProblems } from '../tools/driver-names.ts';
import { cycleProblems, folderProblems } from '../tools/structure.ts';
import { lifecycleLayerProblems } from '../tools/lifecycle-layers.ts';
import { deadFileProblems } from '../tools/reach.ts';
import { readingOrderProblems } from '../tools/reading-order.ts';
import { publicApiProblems } from '../tools/public-api.ts';
import * as tidy from '../tools/tidy.ts';
import type { Tree } from '../tools/tidy.ts';

/** PURE files that need no test of their own, each with the reason. */
const excused: Record<string, string> = {};

function treeOf(files: Record<string, string>): Tree {
  return {
    files: Object.keys(files),
    text: (file) => files[file] ?? '',
    exists: (file) => file in files,
    bytes: (file) => (files[file] ?? '').length,
  };
}

describe('this repository', () => {
  const tree = tidy.treeAt(path.resolve(import.meta.dirname, '..'));
  const checks: [string, (tree: Tree) => string[]][] = [
    ['keeps its layers', tidy.layerProblems],
    ['imports nothing from above', tidy.orderProblems],
    ['has no import cycle', cycleProblems],
    ['keeps direct and managed migrations apart', lifecycleLayerProblems],
    ['keeps the public API apart', publicApiProblems],
    ['names no driver outside of its folder', driverNameProblems],
    ['reads no clock in a PURE file', tidy.clockProblems],
    [
      'has nothing in src/ that no package needs, and no file that no program reaches',
      deadFileProblems,
    ],
    ['tests every PURE file that runs', (each) => tidy.untestedProblems(each, excused)],
    ['names no path or registry of one machine', tidy.machineProblems],
    ['has no link that leads nowhere', tidy.linkProblems],
    ['uses what it declares and declares what it uses', tidy.dependencyProblems],
    ['has a lock file for every platform', tidy.lockProblems],
    ['has only small, readable, named files', tidy.fileProblems],
    ['has no file that is too long', tidy.lengthProblems],
    ['has no folder with too many files', folderProblems],
    ['numbers its decision records', tidy.decisionProblems],
    ['has a small core, and READMEs with its reading order', readingOrderProblems],
  ];
  for (const [name, check] of checks) {
    test(name, () => {
      const problems = check(tree);
      assert.ok(problems.length === 0, `\n${problems.join('\n')}`);
    });
  }
});

describe('the tidy checks', () => {
  test('an assertion that cannot fail is a problem', () => {
    const nothing = ['assert', 'ok(true);'].join('.');
    const tree = treeOf({ 'test/a.test.ts': `for (const each of none) ${nothing}` });
    assert.deepEqual(tidy.fileProblems(tree), [
      'test/a.test.ts: asserts true, which cannot fail; assert what was seen',
    ]);
  });

  test('a public message that depends on one between hosts is a problem', () => {
    const file = 'src/protocol/public/a.ts';
    const rests = treeOf({ [file]: `import { b } from '../peer/b.ts';` });
    assert.equal(publicApiProblems(rests).length, 1);
    assert.equal(publicApiProblems(treeOf({ [file]: `import '../names.ts';` })).length, 0);
  });

  test('a PURE file that imports I/O is a problem', () => {
    const tree = treeOf({
      'src/migration/direct/a.ts': `import fs from 'node:fs';\nimport { z } from 'zod';`,
    });
    assert.equal(tidy.layerProblems(tree).length, 1);
  });

  test('an import of the agent from the inside of a mover is a problem', () => {
    const from = (target: string) =>
      treeOf({ 'src/agent/host/a.ts': `import type { A } from '../../mover/${target}';` });
    assert.deepEqual(tidy.layerProblems(from('look/direct.ts')), [
      'src/agent/host/a.ts: movers are reached through src/mover/public.ts, not src/mover/look/direct.ts',
    ]);
    assert.deepEqual(tidy.layerProblems(from('public.ts')), []);
  });

  test('a managed migration that depends on a direct one is a problem, and so is the engine on either', () => {
    const inDirect = `import { a } from '../direct/a.ts';`;
    for (const folder of ['managed', 'engine', 'shared']) {
      const file = `src/mover/${folder}/b.ts`;
      assert.equal(lifecycleLayerProblems(treeOf({ [file]: inDirect })).length, 1, file);
    }
    const shared = treeOf({ 'src/mover/managed/b.ts': `import { a } from '../engine/a.ts';` });
    assert.deepEqual(lifecycleLayerProblems(shared), []);
  });

  test('a driver is reached from the mover only through the registry', () => {
    const through = treeOf({
      'src/mover/a.ts': `import { drivers } from '../drivers/registry.ts';`,
    });
    const around = treeOf({ 'src/mover/a.ts': `import { q } from '../drivers/qemu/client.ts';` });
    assert.deepEqual(tidy.layerProblems(through), []);
    assert.equal(tidy.layerProblems(around).length, 1);
  });

  test("a driver's name outside its folder is a problem, and a word that contains it is not", () => {
    const driver = { 'src/drivers/hv/driver.ts': '', 'src/port/driver.ts': '' };
    const branch = treeOf({ ...driver, 'src/mover/a.ts': `if (handle.driver === 'hv') go();` });
    const free = treeOf({ ...driver, 'src/mover/a.ts': `// 'hv'\ngo('hv is', 'port');` });
    assert.equal(driverNameProblems(branch).length, 1);
    assert.deepEqual(driverNameProblems(free), []);
    const named = [
      'a({ hv: 0 })',
      'a(all.hv)',
      "a('hv.pid')",
      'a(`${all.hv}: it`)',
      'a(`hv-${b}`)',
    ];
    for (const text of named) {
      const tree = treeOf({ ...driver, 'src/mover/a.ts': text });
      assert.equal(driverNameProblems(tree).length, 1, text);
    }
  });

  test('an import that points up in the order of folders is a problem, and so is a folder without a place', () => {
    const up = treeOf({ 'src/system/a.ts': `import type { B } from '../mover/b.ts';` });
    const down = treeOf({ 'src/mover/b.ts': `import { a } from '../system/a.ts';` });
    const program = treeOf({ 'src/agent/a.ts': `new URL('../bin/mover.ts', import.meta.url)` });
    assert.equal(tidy.orderProblems(up).length, 1);
    assert.deepEqual(tidy.orderProblems(down), []);
    assert.deepEqual(tidy.orderProblems(program), []);
    assert.equal(tidy.orderProblems(treeOf({ 'src/new/a.ts': '' })).length, 1);
  });

  test('an import cycle is a problem, even if it needs a type import or a dynamic import', () => {
    const circle = treeOf({
      'src/a.ts': `import { b } from './b.ts';`,
      'src/b.ts': `import type { C } from './c.ts';`,
      'src/c.ts': `const { a } = await import('./a.ts');`,
      'src/d.ts': `import { c } from './c.ts';`,
    });
    assert.deepEqual(cycleProblems(circle), [
      'src/a.ts: is in an import cycle through src/b.ts; move what both need to a file below them',
      'src/b.ts: is in an import cycle through src/c.ts; move what both need to a file below them',
      'src/c.ts: is in an import cycle through src/a.ts; move what both need to a file below them',
    ]);
  });

  test('two imports of one file and a worker that imports its starter are not a cycle', () => {
    const tree = treeOf({
      'src/a.ts': `import { b } from './b.ts';\nimport { c } from './c.ts';`,
      'src/b.ts': `import { c } from './c.ts';\nnew URL('./worker.ts', import.meta.url)`,
      'src/c.ts': '',
      'src/worker.ts': `import type { B } from './b.ts';`,
    });
    assert.deepEqual(cycleProblems(tree), []);
  });

  test('a long file is a problem, and imports, comments and blank lines do not count', () => {
    const code = (lines: number): string => 'go();\n'.repeat(lines);
    const imports = `import {\n${'  a,\n'.repeat(90)}} from './a.ts';\n`;
    const around = `${imports}/**\n * ${'words\n * '.repeat(90)}\n */\n\n// ${'x'.repeat(9)}\n`;
    assert.deepEqual(tidy.lengthProblems(treeOf({ 'src/a.ts': `${around}${code(300)}` })), []);
    assert.equal(tidy.lengthProblems(treeOf({ 'src/a.ts': code(301) })).length, 1);
  });

  test('a folder with more than 30 files is a problem, without counting its subfolders', () => {
    const named = (folder: string, count: number): [string, string][] =>
      Array.from({ length: count }, (_, index) => [`src/${folder}/f${index}.ts`, '']);
    const tree = treeOf(Object.fromEntries([...named('a', 30), ...named('a/b', 31)]));
    assert.deepEqual(folderProblems(tree), [
      'src/a/b: has 31 files directly, more than 30; group them by subject',
    ]);
  });

  describe('the reading order', () => {
    const core = ['src/migration/a.ts', 'src/mover/b.ts', 'src/migration/c.ts'];
    const whole = '[a](../a.ts)\n[b](../../mover/b.ts)\n[c](../c.ts)\n';
    const problems = (own: Record<string, string>, list = core): string[] => {
      const files = Object.fromEntries(core.map((file) => [file, 'go();\n']));
      const readmes = {
        'src/migration/direct/README.md': whole,
        'src/mover/README.md': '[b](b.ts)\n',
      };
      return readingOrderProblems(treeOf({ ...files, ...readmes, ...own }), list);
    };

    test('READMEs that name the core in its order are not a problem', () => {
      assert.deepEqual(problems({}), []);
    });

    test('a README with another order, a missing file or a further file is a problem', () => {
      const other = '[b](../../mover/b.ts) [a](../a.ts) [c](../c.ts)';
      assert.deepEqual(problems({ 'src/migration/direct/README.md': other }), [
        'src/migration/direct/README.md: its file 1 is src/mover/b.ts; the reading order has src/migration/a.ts there',
      ]);
      assert.equal(problems({ 'src/mover/README.md': 'nothing' }).length, 1);
      assert.equal(problems({ 'src/mover/README.md': '[b](b.ts) [d](d.ts)' }).length, 1);
    });

    test('a README of more than 30 lines is a problem', () => {
      assert.deepEqual(
        problems({ 'src/migration/direct/README.md': `${whole}${'\n'.repeat(27)}` }),
        [],
      );
      const long = problems({ 'src/migration/direct/README.md': `${whole}${'\n'.repeat(28)}` });
      assert.deepEqual(long, ['src/migration/direct/README.md: has 31 lines, more than 30']);
    });

    test('a core of more than 3,500 lines is a problem, comments included', () => {
      const lines = (count: number) => ({ 'src/migration/a.ts': '// a\n'.repeat(count) });
      assert.deepEqual(problems(lines(3498)), []);
      assert.equal(problems(lines(3499)).length, 1);
    });

    test('a core of more than 14 files is a problem, and so is a file that does not exist', () => {
      const named = Array.from({ length: 15 }, (_, index) => `src/migration/f${index}.ts`);
      const tree = (list: readonly string[]) =>
        treeOf({
          ...Object.fromEntries(named.map((file) => [file, ''])),
          'src/migration/direct/README.md': list
            .map((file) => `[f](../${path.basename(file)})`)
            .join(' '),
          'src/mover/README.md': '',
        });
      assert.deepEqual(readingOrderProblems(tree(named.slice(1)), named.slice(1)), []);
      assert.equal(readingOrderProblems(tree(named), named).length, 1);
      const gone = ['src/migration/gone.ts'];
      assert.deepEqual(readingOrderProblems(tree(gone), gone), [
        'src/migration/gone.ts: is in the reading order, but does not exist',
      ]);
    });
  });

  test('the CLI may not import a driver', () => {
    const tree = treeOf({ 'src/cli/a.ts': `export * from '../drivers/qemu/driver.ts';` });
    assert.equal(tidy.layerProblems(tree).length, 1);
  });

  test('imports over several lines, of types and at run time are all seen', () => {
    const tree = treeOf({
      'src/a.ts': `import {\n  b,\n} from './b.ts';\nimport type { C } from './c.ts';\nawait import('@types/node/fs');\n// import './d.ts'`,
    });
    assert.deepEqual(tidy.importsOf(tree, 'src/a.ts'), ['src/b.ts', 'src/c.ts', '@types/node']);
  });

  test('an import whose name is a template reaches every file it can name', () => {
    const tree = treeOf({
      'src/bin/godwit.ts': 'await import(`../cli/commands/${verb}.ts`);',
      'src/cli/commands/hosts.ts': '',
      'src/cli/idle.ts': '',
    });
    assert.deepEqual(deadFileProblems(tree), [
      'src/cli/idle.ts: no program of a package reaches it; move it out of src/ or remove it',
    ]);
  });

  test('a file of src/ that no program reaches is a problem, and so is an unreachable one of the lab', () => {
    const tree = treeOf({
      'src/bin/agent.ts': `import type { A } from '../drivers/a.ts';`,
      'src/drivers/a.ts': '',
      'src/drivers/b.ts': '',
      'src/words/c.ts': '',
      'src/client.ts': '',
      'src/protocol/public/contract.ts': '',
      'web/src/main.tsx': `import { c } from '../../src/words/c.ts';`,
      'lab/godwit.ts': `import './up.ts';`,
      'lab/up.ts': `import '../src/drivers/b.ts';`,
      'lab/idle.ts': '',
      'bench/bench.ts': `import '../src/drivers/b.ts';`,
      'test/b.test.ts': `import '../src/drivers/b.ts';`,
    });
    assert.deepEqual(deadFileProblems(tree), [
      'src/drivers/b.ts: no program of a package reaches it; move it out of src/ or remove it',
      'lab/idle.ts: no program reaches it; use it or remove it',
    ]);
  });

  test('src/ may not import the lab, nor the fake drivers of the simulation', () => {
    for (const target of ['lab/state.ts', 'sim/fake/drivers.ts']) {
      const tree = treeOf({ 'src/drivers/registry.ts': `import '../../${target}';` });
      assert.deepEqual(tidy.layerProblems(tree), [
        `src/drivers/registry.ts: src/ may not import ${target}`,
      ]);
    }
  });

  test('a program that a file starts counts as reached', () => {
    const tree = treeOf({
      'src/bin/godwit.ts': `start(new URL('../mover/main.ts', import.meta.url));\nstart(path.join(import.meta.dirname, 'x.ts'));`,
      'src/mover/main.ts': '',
      'src/bin/x.ts': '',
    });
    assert.deepEqual(deadFileProblems(tree), []);
    assert.deepEqual(tidy.importsOf(tree, 'src/bin/godwit.ts'), [
      'src/mover/main.ts',
      'src/bin/x.ts',
    ]);
  });

  test('a link to a missing heading is a problem', () => {
    const tree = treeOf({ 'a.md': '# One word\n[x](#one-word) [y](#two) [z](gone.md)' });
    assert.equal(tidy.linkProblems(tree).length, 2);
  });

  test('a package that is not declared is a problem', () => {
    const undeclared = 'leftpad';
    const tree = treeOf({
      'package.json': '{"dependencies":{"zod":"4"}}',
      'src/a.ts': `import 'zod';\nimport '${undeclared}';`,
    });
    assert.deepEqual(tidy.dependencyProblems(tree), ['src/a.ts: leftpad is not in package.json']);
  });
});
