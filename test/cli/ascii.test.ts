import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inLocale, PLAIN } from '../../src/cli/ascii.ts';
import { withoutComments } from '../../tools/tidy.ts';
import { FakeContext } from './fake.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

test('every printed symbol has an ASCII form for a locale without UTF-8', () => {
  const files = globSync('{src,demo}/**/*.ts', { cwd: ROOT });
  assert.ok(files.length > 500);
  const lacking = files.flatMap((file) => {
    const marks = withoutComments(readFileSync(path.join(ROOT, file), 'utf8'))
      .replaceAll(/\s\/\/.*$/gm, '')
      .match(/[^\p{ASCII}]/gu);
    return (marks ?? []).filter((mark) => !(mark in PLAIN)).map((mark) => `${file}: ${mark}`);
  });
  assert.deepEqual(lacking, []);
  for (const mark of Object.values(PLAIN)) assert.match(mark, /^\p{ASCII}$/u);
});

test('no file of the packages needs UTF-8', () => {
  for (const file of [
    'godwit',
    'tools/setup.sh',
    ...globSync('packaging/**/*.{sh,service}', { cwd: ROOT }),
  ])
    assert.match(readFileSync(path.join(ROOT, file), 'utf8'), /^\p{ASCII}*$/u, file);
});

test('the first set variable of LC_ALL, LC_CTYPE and LANG counts', () => {
  const written = (env: Record<string, string>): string => {
    const context = new FakeContext();
    Object.assign(context.env, env);
    inLocale(context).out.write('✔ größe → █');
    return context.out.text;
  };
  for (const env of [
    { LANG: 'C' },
    { LANG: 'POSIX' },
    { LC_ALL: 'C', LANG: 'en_US.UTF-8' },
    { LC_CTYPE: 'de_DE' },
  ])
    assert.equal(written(env), '+ größe > #', JSON.stringify(env));
  for (const env of [
    {},
    { LANG: 'C.UTF-8' },
    { LANG: 'C', LC_ALL: 'en_US.utf8' },
    { LC_ALL: '', LANG: 'de_DE.UTF-8' },
  ])
    assert.equal(written(env), '✔ größe → █', JSON.stringify(env));
});
