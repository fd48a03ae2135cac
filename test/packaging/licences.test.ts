import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { refusedParts } from '../../tools/package/licences.ts';

const refused = (license: string | undefined): boolean =>
  refusedParts([{ name: 'part', license }]).length === 1;

test('a licence outside the list is refused with its part, and so is a part without one', () => {
  for (const license of [
    'GPL-3.0-only',
    'MIT AND GPL-3.0-only',
    'SSPL-1.0',
    'UNLICENSED',
    undefined,
  ])
    assert.equal(refused(license), true, String(license));
  for (const license of ['MIT', '(MIT OR GPL-3.0-only)', 'MIT AND ISC', 'Apache-2.0'])
    assert.equal(refused(license), false, license);
  assert.deepEqual(refusedParts([{ name: 'evil', license: 'AGPL-3.0' }]), ['evil: AGPL-3.0']);
});

const lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ license: z.string().optional(), dev: z.boolean().optional() }),
  ),
});

test('everything that runs in production has a licence of the list', () => {
  const file = path.resolve(import.meta.dirname, '../../package-lock.json');
  const { packages } = lock.parse(JSON.parse(readFileSync(file, 'utf8')));
  const parts = Object.entries(packages)
    .filter(([, { dev }]) => dev !== true)
    .map(([name, { license }]) => ({ name, license }));
  assert.ok(parts.length > 20);
  assert.deepEqual(refusedParts(parts), []);
});
