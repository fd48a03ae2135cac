import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { schemaNames } from '../../../src/protocol/public/schemas.ts';

test('a message has its name, and a schema derived from it has none', () => {
  assert.deepEqual(schemaNames.get(guestInfo), { id: 'Guest' });
  assert.equal(schemaNames.get(guestInfo.extend({}))?.id, undefined);
});
