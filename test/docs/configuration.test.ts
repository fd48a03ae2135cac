import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowsOf } from '../../tools/docs/configuration.ts';

const schema = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string' },
    limits: {
      type: 'object',
      properties: { most: { type: 'integer', minimum: 1, maximum: 9, default: 3 } },
    },
  },
};

test('each setting of a schema has a row with its values, its default and its meaning', () => {
  assert.deepEqual(rowsOf(schema, { name: 'its name', 'limits.most': 'the bound' }), [
    '| `name` | text | needed | its name |',
    '| `limits.most` | 1 to 9 | `3` | the bound |',
  ]);
});

test('a setting without a meaning, and a meaning without a setting, are refused', () => {
  assert.throws(() => rowsOf(schema, { name: 'its name' }), /lacks limits\.most/);
  const further = { name: 'its name', 'limits.most': 'the bound', 'limits.least': 'none' };
  assert.throws(() => rowsOf(schema, further), /no schema has limits\.least/);
});
