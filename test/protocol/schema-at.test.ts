import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { schemaAt } from '../../src/protocol/schema-at.ts';

test('a field is found in nested objects, without its optional wrapper', () => {
  const share = z.number();
  const schema = z.object({ link: z.object({ share: share.default(1).optional() }).optional() });
  assert.equal(schemaAt(schema, ['link', 'share']), share);
  assert.equal(schemaAt(schema, []), schema);
});

test('a path that leads through no object is not found', () => {
  const schema = z.object({ list: z.array(z.number()) });
  assert.equal(schemaAt(schema, ['none']), undefined);
  assert.equal(schemaAt(schema, ['list', 0]), undefined);
});
