import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { z } from 'zod';
import { wireFigures, wireOffer, wireSession, wireTerms } from '../../src/protocol/wire.ts';
import { valuesOf } from './arbitrary.ts';

const schemas: Record<string, z.ZodType> = { wireFigures, wireOffer, wireSession, wireTerms };

for (const [name, schema] of Object.entries(schemas)) {
  test(`every ${name} comes through JSON as it was`, () => {
    fc.assert(
      fc.property(valuesOf(schema), (value) => {
        const once = schema.parse(JSON.parse(JSON.stringify(value)));
        assert.deepEqual(schema.parse(JSON.parse(JSON.stringify(once))), once);
      }),
      { numRuns: 50 },
    );
  });
}

test('a session is named by 128 bits and nothing that a path could hold', () => {
  assert.ok(wireSession.safeParse({ session: '0123456789abcdef0123456789abcdef' }).success);
  for (const session of ['', '../etc', '0'.repeat(31), 'G'.repeat(32)]) {
    assert.equal(wireSession.safeParse({ session }).success, false);
  }
});
