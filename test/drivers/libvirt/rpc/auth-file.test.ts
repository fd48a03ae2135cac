import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secretIn } from '../../../../src/drivers/libvirt/rpc/auth-file.ts';

const FILE = `
# Of the site.
[credentials-fleet]
authname = godwit
password=a=b # c

[credentials-old]
username=fred
password=123456

[credentials-half]
authname=nobody

[auth-libvirt-b.example]
credentials=fleet

[auth-libvirt-10.0.0.3]
credentials=half

[auth-libvirt-default]
credentials=old
`;

test('a user and a password belong to the host, or to all hosts', () => {
  assert.deepEqual(secretIn(FILE, 'b.example'), { user: 'godwit', password: 'a=b # c' });
  assert.deepEqual(secretIn(FILE, 'c.example'), { user: 'fred', password: '123456' });
});

test('a file without a user has no login', () => {
  assert.equal(secretIn(FILE, '10.0.0.3'), undefined);
  for (const text of ['', '[auth-libvirt-default]\ncredentials=x', 'password=x', '\0[['])
    assert.equal(secretIn(text, 'b.example'), undefined, text);
});
