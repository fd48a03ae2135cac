import assert from 'node:assert/strict';
import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bundle } from '../../tools/package/bundle.ts';

const root = path.resolve(import.meta.dirname, '../..');

function folderFor(context: { after: (done: () => void) => void }): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'godwit-bundle-'));
  context.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

/** A checkout with these files. */
function checkoutIn(folder: string, files: Readonly<Record<string, string>>): string {
  const all = { 'package.json': '{ "type": "module", "dependencies": { "zod": "*" } }', ...files };
  for (const [name, text] of Object.entries(all)) {
    fs.mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}

async function bundled(checkout: string): Promise<string> {
  const out = path.join(checkout, 'out');
  await bundle(checkout, out);
  return out;
}

const run = (file: string): string => execFileSync(process.execPath, [file], { encoding: 'utf8' });

test('a stack trace of a bundled program names the lines of the sources', async (t) => {
  const fail = `/** Comments\nare gone. */\nexport function fail(): never {\n  throw new TypeError('no');\n}\n`;
  const out = await bundled(
    checkoutIn(folderFor(t), {
      'src/far/fail.ts': fail,
      'src/bin/a.ts': `const { fail } = await import('../far/fail.ts');\ntry {\n  fail();\n} catch (thrown) {\n  console.log((thrown as Error).stack);\n}\n`,
    }),
  );
  const [first, ...frames] = run(path.join(out, 'a.js')).split('\n');
  assert.equal(first, 'TypeError: no');
  assert.match(frames[0] ?? '', /^ {4}at fail \(src\/far\/fail\.ts:4:\d+\)$/);
  assert.match(frames[1] ?? '', /^ {4}at src\/bin\/a\.ts:3:\d+$/);
  // A trace without its map is one of the bundle.
  for (const map of fs.globSync('*.map', { cwd: out })) fs.rmSync(path.join(out, map));
  assert.match(run(path.join(out, 'a.js')), /at fail \(file:\/\/.*\/part-\w+\.js:\d+:\d+\)/);
});

test('a bundled program starts threads and programs by their places in the sources', async (t) => {
  const out = await bundled(
    checkoutIn(folderFor(t), {
      'src/near/worker.ts': `import { parentPort } from 'node:worker_threads';\nparentPort?.postMessage('started');\n`,
      'src/far/start.ts': `import { Worker } from 'node:worker_threads';\nexport const start = () => new Worker(new URL('../near/worker.ts', import.meta.url));\n`,
      'src/bin/a.ts': `const { start } = await import('../far/start.ts');\nstart().on('message', (text) => console.log(text));\n`,
      'src/bin/b.ts': `import '../far/start.ts';\n`,
    }),
  );
  assert.equal(run(path.join(out, 'a.js')), 'started\n');
});

test('zod is part of a bundle, speaks English, and has no other language', async (t) => {
  const out = await bundled(
    checkoutIn(folderFor(t), {
      'src/bin/a.ts': `import { z } from 'zod';\nconsole.log(z.object({ a: z.string() }).safeParse({ a: 1 }).error?.issues[0]?.message);\n`,
    }),
  );
  fs.rmSync(path.join(out, '../node_modules'));
  assert.equal(run(path.join(out, 'a.js')), 'Invalid input: expected string, received number\n');
  const text = fs.readFileSync(path.join(out, 'a.js'), 'utf8');
  assert.ok(text.includes('locales/en.js') && !text.includes('locales/de.js'));
});

test('programs with the same name, and those that are started in an unknown form, are refused', async (t) => {
  const twice = checkoutIn(folderFor(t), {
    'src/bin/a.ts': `new URL('../far/a.ts', import.meta.url);\n`,
    'src/far/a.ts': '',
  });
  await assert.rejects(bundled(twice), /src\/bin\/a\.ts, src\/far\/a\.ts: two programs are named/);
  const unknown = checkoutIn(folderFor(t), {
    'src/bin/a.ts': 'new URL(`./${process.argv[2]}.ts`, import.meta.url);\n',
  });
  await assert.rejects(bundled(unknown), /a\.ts: starts a \.ts file in an unknown form/);
});

test('two checkouts of the same sources are bundled to the same bytes', async (t) => {
  const files = {
    'src/far/b.ts': 'export const b = (): number => 1;\n',
    'src/bin/a.ts': `const { b } = await import('../far/b.ts');\nb();\n`,
  };
  const outs = [
    await bundled(checkoutIn(folderFor(t), files)),
    await bundled(checkoutIn(folderFor(t), files)),
  ];
  const [one, other] = outs.map((out) =>
    fs
      .readdirSync(out)
      .toSorted()
      .map((name) => [name, fs.readFileSync(path.join(out, name), 'utf8')]),
  );
  assert.deepEqual(one, other);
});

describe('the bundle of Godwit', () => {
  const folder = folderFor({ after });
  const out = path.join(folder, 'dist/bin');
  before(async () => {
    fs.writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
    await bundle(root, out);
  });
  const start = (...words: string[]): SpawnSyncReturns<string> => {
    const [program = '', ...rest] = words;
    return spawnSync(process.execPath, [path.join(out, program), ...rest], { encoding: 'utf8' });
  };

  test('the bundle of Godwit has each program that another one starts', () => {
    for (const file of fs.globSync('*.js', { cwd: out })) {
      const text = fs.readFileSync(path.join(out, file), 'utf8');
      for (const [, started = ''] of text.matchAll(/new URL\(\s*"([^"]+)",\s*import\.meta\.url/g))
        assert.ok(started === '.' || fs.existsSync(path.join(out, started)), `${file}: ${started}`);
    }
  });

  test('the bundle of Godwit loads everything that a mover of either side and a checker need', () => {
    const mover = start('mover.js');
    assert.deepEqual([mover.status, mover.stdout], [2, ''], mover.stderr);
    assert.match(mover.stderr, /^usage: mover/);
    const checker = start('checker.js', 'compile-ahead');
    assert.deepEqual([checker.status, checker.stderr], [0, '']);
  });

  test('the bundle of Godwit has a command line that starts', () => {
    const { status, stdout } = start('godwit.js', '--version');
    assert.equal(status, 0);
    assert.match(stdout, /^\S*\d+\.\d+\.\d+/m);
  });
});
