import assert from 'node:assert/strict';
import { test } from 'node:test';
import { halt, withHalt } from '../../src/protocol/guest-halt.ts';

test('a reason of a newer build is read as the mildest one', () => {
  assert.deepEqual(halt.parse({ kind: 'io-error', what: 'disk0' }), {
    kind: 'io-error',
    what: 'disk0',
  });
  assert.deepEqual(halt.parse({ kind: 'abducted' }), { kind: 'paused' });
  assert.throws(() => halt.parse({ kind: 'paused', what: 'x'.repeat(513) }));
});

test('a guest that is not stopped has no reason', () => {
  assert.deepEqual(withHalt({}), {});
  assert.deepEqual(withHalt({ halted: { kind: 'paused' } }), { halted: { kind: 'paused' } });
});
