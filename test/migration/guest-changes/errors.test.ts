import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endError, haltError } from '../../../src/migration/guest-changes/errors.ts';

test("the report of a stopped guest has the reason and its owner's options", () => {
  const error = haltError('web1', { kind: 'io-error', what: 'disk0 (no space left)' });
  assert.equal(
    error.message,
    'web1 was stopped by an I/O error of disk0 (no space left) while it moved',
  );
  assert.match(error.hint, /Repair the disk/);
});

test('the report of an ended guest has the way that it ended', () => {
  const { code, message } = endError('web1', 'shut-down');
  assert.equal(code, 'GODWIT_GUEST_ENDED');
  assert.match(message, /^web1 shut itself down, .* while it moved$/);
});
