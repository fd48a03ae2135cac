import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { findKey, keyIn } from '../../../../src/drivers/qemu/user/keyring.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

const KEYRING = `[client.admin]
\tkey = QWRtaW4=
\tcaps mon = "allow *"
[client.vm]
\tkey = Vm0vKzEyMw==
`;

test("a key belongs to its user, and another user's key is not used", async (t) => {
  assert.equal(findKey(KEYRING, 'client.vm'), 'Vm0vKzEyMw==');
  assert.equal(findKey(KEYRING, 'client.admin'), 'QWRtaW4=');
  assert.equal(findKey(KEYRING, 'client.v'), undefined);
  assert.equal(findKey('key = QWRtaW4=', 'client.admin'), undefined);
  assert.equal(findKey('[client.admin]\nkey = $(id)\n', 'client.admin'), undefined);
  const file = path.join(tempDir(t), 'keyring');
  assert.equal(await keyIn(file), undefined);
  await writeFile(file, KEYRING);
  assert.equal(await keyIn(file), 'QWRtaW4=');
  assert.equal(await keyIn(file, 'vm'), 'Vm0vKzEyMw==');
});
