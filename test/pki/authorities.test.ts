import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { readAuthorities } from '../../src/host/credentials.ts';
import { FLEET_FILE } from '../../src/host/fleet.ts';
import { issue, storeCredentials } from '../../src/pki/authority.ts';
import { takeAuthorities } from '../../src/pki/authorities.ts';
import { changeList, latestList, unchanged } from '../../src/pki/fleet-list.ts';
import { finishRotation, startRotation, switchIssuing } from '../../src/pki/rotation.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';

test('a host whose certificate is of the removed CA keeps the CAs that it has, and learns why', async (t) => {
  const { caDir } = await authority(t);
  const directory = tempDir(t);
  storeCredentials(directory, await issue({ caDir, name: 'b', role: 'agent', addresses: [] }));
  const newest = () => latestList(caDir) ?? changeList(caDir, unchanged, Date.now());
  assert.equal(takeAuthorities(directory, newest()), false);
  await startRotation(caDir, Date.now());
  assert.equal(takeAuthorities(directory, newest()), true);
  assert.equal(takeAuthorities(directory, newest()), false);
  switchIssuing(caDir, Date.now());
  // The CA that issues comes first.
  assert.equal(takeAuthorities(directory, newest()), true);
  finishRotation(caDir, Date.now());
  const before = readFileSync(path.join(directory, 'ca.crt'), 'utf8');
  assert.throws(() => takeAuthorities(directory, newest()), {
    code: 'GODWIT_PKI',
    message: /host\.crt, which has no certificate of the new one/,
    hint: /godwit join/,
  });
  assert.equal(readFileSync(path.join(directory, 'ca.crt'), 'utf8'), before);
  assert.equal(readAuthorities(directory).length, 2);
});

test('a list beside the certificate that only the removed CA signed is replaced with it', async (t) => {
  const { caDir } = await authority(t);
  const directory = tempDir(t);
  const file = path.join(directory, FLEET_FILE);
  const early = changeList(caDir, unchanged, Date.now()).signed;
  await startRotation(caDir, Date.now());
  switchIssuing(caDir, Date.now());
  storeCredentials(directory, await issue({ caDir, name: 'b', role: 'agent', addresses: [] }));
  writeFileSync(file, JSON.stringify(early));
  finishRotation(caDir, Date.now());
  const last = latestList(caDir);
  assert.ok(last);
  assert.equal(takeAuthorities(directory, last), true);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), last.signed);
});
