import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveRequest } from '../../../src/protocol/public/resolve.ts';

test("a decision needs a side and the guest's name, and by default does not insist", () => {
  const asked = resolveRequest.parse({ runAt: 'source', confirm: 'web1' });
  assert.equal(asked.iKnow, false);
  assert.equal(resolveRequest.safeParse({ runAt: 'source' }).success, false);
  assert.equal(resolveRequest.safeParse({ runAt: 'here', confirm: 'web1' }).success, false);
});
