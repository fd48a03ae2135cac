import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ERRORS } from '../../src/errors.ts';
import { JSON_SHAPES } from '../../tools/docs/json-shapes.ts';
import { TABLE } from '../../src/cli/table.ts';
import { isGroup } from '../../src/cli/verb.ts';
import { pages } from '../../tools/docs.ts';

const docs = path.resolve(import.meta.dirname, '../../docs');

describe('generated pages', () => {
  const made = [
    'cli.md',
    'configuration.md',
    'json.md',
    'reporting.md',
    'drivers/README.md',
    'errors.md',
    'openapi-controller.json',
  ];
  for (const name of made) {
    test(`docs/${name} is up to date with \`npm run docs\``, async () => {
      const written = readFileSync(path.join(docs, name), 'utf8').split('\n');
      const made = ((await pages())[name] ?? '').split('\n');
      const line = made.findIndex((text, index) => text !== written[index]);
      const differs = `docs/${name}:${line + 1}: run \`npm run docs\``;
      assert.equal(written[line], made[line], differs);
      assert.equal(written.length, made.length, differs);
    });
  }

  test('docs/errors.md has every code once, each in a group', async () => {
    const { 'errors.md': page = '' } = await pages();
    const reported = [...page.matchAll(/^### (GODWIT_\w+)$/gm)].map(([, code]) => code);
    assert.equal(reported.length, new Set(reported).size);
    assert.deepEqual(new Set(reported), new Set(Object.keys(ERRORS)));
    assert.doesNotMatch(page, /^## Others$/m);
  });

  test('docs/errors.md has every exit code of the table', async () => {
    const { 'errors.md': page = '' } = await pages();
    for (const { exit } of Object.values(ERRORS))
      assert.ok(page.includes(`| ${exit} |`), String(exit));
  });

  test('a verb of the top level prints a shape that is shown', () => {
    for (const entry of TABLE) {
      if (isGroup(entry) || entry.spec.json === undefined) continue;
      const [name = ''] = entry.spec.json.split(' ');
      assert.ok(name in JSON_SHAPES, `${entry.spec.name}: ${name}`);
    }
  });
});
