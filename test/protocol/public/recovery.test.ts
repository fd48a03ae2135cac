import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recoveryRequest, recoveryRoutes } from '../../../src/protocol/public/recovery.ts';

test('a recovery names a guest and its last host, and other dead hosts if there are any', () => {
  const asked = recoveryRequest.parse({ guest: 'web1', from: 'a' });
  assert.deepEqual(asked, { guest: 'web1', from: 'a', off: [] });
  const many = Array.from({ length: 65 }, (_none, index) => `h${index}`);
  assert.equal(recoveryRequest.safeParse({ guest: 'web1', from: 'a', off: many }).success, false);
});

test('an operator may start the guest of a dead host, and a viewer may list the candidates', () => {
  const { putStandby, putRecovery, standbys } = recoveryRoutes;
  assert.deepEqual(
    [putStandby.access, putRecovery.access, standbys.access],
    ['orders', 'orders', 'viewer'],
  );
});
