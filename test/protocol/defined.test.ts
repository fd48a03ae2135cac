import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defined } from '../../src/protocol/defined.ts';

test('defined() keeps every property that has a value and drops every other', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.option(fc.jsonValue(), { nil: undefined })),
      (given) => {
        const kept = defined(given);
        for (const name of Object.keys(given))
          assert.equal(Object.hasOwn(kept, name), given[name] !== undefined, name);
        for (const [name, value] of Object.entries(kept)) assert.equal(value, given[name], name);
      },
    ),
  );
});

test('falsy values are kept', () => {
  assert.deepEqual(defined({ none: undefined, zero: 0, no: false, empty: '', nothing: null }), {
    zero: 0,
    no: false,
    empty: '',
    nothing: null,
  });
});
