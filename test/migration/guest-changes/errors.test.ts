import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endError, haltError } from '../../../src/migration/guest-changes/errors.ts';

test('a guest that was stopped is reported by why, with what its owner can do', () => {
  const error = haltError('web1', { kind: 'io-error', what: 'disk0 (no space left)' });
  assert.equal(
    error.message,
    'web1 was stopped by an I/O error of disk0 (no space left) while it moved',
  );
  assert.match(error.hint, /Repair the disk/);
});

test('a guest that ended is reported by how', () => {
  const { code, message } = endError('web1', 'shut-down');
  assert.equal(code, 'GODWIT_GUEST_ENDED');
  assert.match(message, /^web1 shut itself down, .* while it moved$/);
});
