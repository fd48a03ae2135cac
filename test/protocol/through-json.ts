import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { z } from 'zod';
import { valuesOf } from './arbitrary.ts';

/** A test for each schema: any value of it comes through JSON as it was. */
export function testThroughJson(schemas: Readonly<Record<string, z.ZodType>>): void {
  for (const [name, schema] of Object.entries(schemas)) {
    test(`every ${name} survives JSON unchanged`, () => {
      fc.assert(
        fc.property(valuesOf(schema), (value) => {
          const once = schema.parse(JSON.parse(JSON.stringify(value)));
          assert.deepEqual(schema.parse(JSON.parse(JSON.stringify(once))), once);
        }),
        { numRuns: 50 },
      );
    });
  }
}
