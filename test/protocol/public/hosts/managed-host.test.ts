import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { managedHost } from '../../../../src/protocol/public/hosts/managed-host.ts';

const HOST = { name: 'esx1', realm: 'vc1:443', state: 'up' };

test('a host of a manager has a name, a realm and a state, and its size if the manager reports it', () => {
  assert.deepEqual(managedHost.parse(HOST), HOST);
  const sized = { ...HOST, cores: 16, memoryBytes: 2 ** 36, memoryAvailableBytes: 2 ** 35 };
  assert.deepEqual(managedHost.parse(sized), sized);
  for (const name of ['name', 'realm', 'state'])
    assert.equal(managedHost.safeParse({ ...HOST, [name]: undefined }).success, false, name);
});

test('a host of a manager with invalid fields is refused, without an exception', () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(HOST)), fc.anything(), (field, value) => {
      const parsed = managedHost.safeParse({ ...HOST, [field]: value });
      if (parsed.success) assert.equal(typeof value, 'string');
    }),
  );
});
