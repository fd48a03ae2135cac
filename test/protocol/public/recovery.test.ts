import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recoveryRequest, recoveryRoutes } from '../../../src/protocol/public/recovery.ts';

test('a recovery names a guest and the host on which it ran; other dead hosts are named where there are some', () => {
  const asked = recoveryRequest.parse({ guest: 'web1', from: 'a' });
  assert.deepEqual(asked, { guest: 'web1', from: 'a', off: [] });
  const many = Array.from({ length: 65 }, (_none, index) => `h${index}`);
  assert.equal(recoveryRequest.safeParse({ guest: 'web1', from: 'a', off: many }).success, false);
});

test('whoever gives orders may start the guest of a dead host, and whoever reads may see which ones can be', () => {
  const { putStandby, putRecovery, standbys } = recoveryRoutes;
  assert.deepEqual(
    [putStandby.access, putRecovery.access, standbys.access],
    ['orders', 'orders', 'viewer'],
  );
});
