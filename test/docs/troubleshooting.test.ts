import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ERRORS, type ErrorCode } from '../../src/errors.ts';

const PAGE = path.resolve(import.meta.dirname, '../../docs/troubleshooting.md');
const CODE = /GODWIT_[A-Z_]+/g;

test('the troubleshooting page quotes each user-visible error as a terminal shows it', () => {
  const rows = readFileSync(PAGE, 'utf8').split('\n');
  const seen = rows.filter((row) => row.startsWith('| ')).map((row) => row.split(' | ')[0] ?? '');
  const text = seen.join('\n');
  const quoted = [...text.matchAll(/`([^`]+)` \(`(GODWIT_[A-Z_]+)`\)/g)];
  assert.deepEqual(
    quoted.map(([, , code]) => code),
    [...text.matchAll(CODE)].map(([code]) => code),
  );
  assert.notEqual(quoted.length, 0);
  for (const [, words = '', code = ''] of quoted) {
    assert.ok(code in ERRORS, code);
    const parts = ERRORS[code as ErrorCode].message.split(/\{\w+\}/);
    const pattern = parts.map((part) => part.replaceAll(/[^\w ]/g, '\\$&')).join('[A-Z]+');
    assert.match(words, new RegExp(`^${pattern}$`), code);
  }
});
