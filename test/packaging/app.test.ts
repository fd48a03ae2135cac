import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { importedPackages, isModule, withoutComments } from '../../tools/package/app.ts';

test('the programs of a package keep their names, are not minified, and lose comments and non-ASCII text', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-app-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'a.js');
  writeFileSync(
    file,
    "/** What it is. */\nexport function nameOf() {\n  // Why.\n  return 'the guest’s';\n}\n",
  );
  withoutComments(file);
  assert.equal(
    readFileSync(file, 'utf8'),
    'export function nameOf() {\n  return "the guest\\u2019s";\n}\n',
  );
});

test('a file of a package is a module if Node treats it as one', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-app-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const put = (name: string, text: string): string => {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  put('package.json', '{ "type": "module" }');
  put('common/package.json', '{}');
  assert.equal(isModule(put('below/a.js', '')), true);
  assert.equal(isModule(put('common/a.js', '')), false);
  assert.equal(isModule(put('common/a.mjs', '')), true);
  assert.equal(isModule(put('a.cjs', '')), false);
  assert.equal(isModule(put('a.json', '{}')), false);
});

test('a package has the native parts of the packages that it imports', () => {
  const packages = importedPackages();
  assert.ok(packages.includes('koffi'));
  assert.ok(
    packages.some((name) => name.startsWith('@koromix/koffi-')),
    packages.join(' '),
  );
});
