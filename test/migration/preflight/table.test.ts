import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { CHECK_STEPS, CHECKS } from '../../../src/migration/preflight/table.ts';

const root = path.join(import.meta.dirname, '../../..');

test('each check has a unique short name, a question, and the right place in the code', () => {
  const names = CHECKS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, asks } of CHECKS) {
    assert.match(name, /^[a-z][a-z-]{2,62}$/);
    assert.match(asks, /\?$/, name);
  }
  const steps = CHECKS.map(({ step }) => CHECK_STEPS.indexOf(step));
  assert.deepEqual(
    steps,
    steps.toSorted((left, right) => left - right),
  );
});

test('every check of the table is documented', () => {
  const docs = readFileSync(path.join(root, 'docs/checks.md'), 'utf8');
  for (const { name } of CHECKS) assert.ok(docs.includes(`| \`${name}\` |`), name);
});

test('every check that is made elsewhere is found there', () => {
  const files = globSync('src/{drivers,mover,agent}/**/*.ts', { cwd: root });
  const text = files.map((file) => readFileSync(path.join(root, file), 'utf8')).join('\n');
  for (const row of CHECKS) {
    if (!('by' in row)) continue;
    const made = new RegExp(
      `(?:pass|warn|refusal|add|named)\\(\\s*'${row.name}'|name: '${row.name}'`,
    );
    assert.ok(made.test(text), `${row.name} is made nowhere`);
  }
});
