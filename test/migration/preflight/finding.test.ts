import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../src/errors.ts';
import { passes, refuses, warns } from '../../../src/migration/preflight/finding.ts';
import { check } from '../../../src/protocol/public/migration.ts';

const where = { name: 'any', side: 'both' } as const;

test('any finding fits into a check, and only a refusal has an error', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 10_000 }), (evidence) => {
      const error = godwitError('GODWIT_CAPABILITY', { what: 'it', reason: 'so' });
      for (const each of [passes(evidence), warns(evidence, 'do this'), refuses(error, evidence)]) {
        const parsed = check.parse({ ...where, ...each });
        assert.equal(parsed.evidence, evidence.slice(0, 4096));
        assert.equal(parsed.error !== undefined, parsed.verdict === 'refuse');
        assert.equal(parsed.hint !== undefined, parsed.verdict === 'warn');
      }
    }),
  );
});

test('a refusal without other text is reported in the words of its error', () => {
  const error = godwitError('GODWIT_NAME_IN_USE', { host: 'b', guest: 'web1' });
  assert.equal(refuses(error).evidence, 'b already has a guest called web1');
});
