import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { issue, storeCredentials } from '../../src/pki/authority.ts';
import { controllerConfig } from '../../src/controller/config.ts';
import { startController } from '../../src/controller/controller.ts';
import { hasCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import { client } from '../../src/rpc/client.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';
import { controllerOf } from './test-controller.ts';

test('a controller serves its API to people with a certificate, under its own role', async (t) => {
  const { caDir } = await authority(t);
  const { controller } = await controllerOf(t, caDir);
  const credentials = await issue({ caDir, name: 'ann', role: 'viewer', addresses: [] });
  const reach = (expectedRole: 'agent' | 'controller') => {
    const { address } = controller;
    const made = client(controllerContract, {
      address,
      credentials,
      expectedName: 'control',
      expectedRole,
    });
    t.after(() => made.close());
    return made.api;
  };
  assert.deepEqual(await reach('controller').health(), { ok: true });
  assert.equal((await reach('controller').hello()).name, 'control');
  // Whoever wants a host’s agent does not take a controller for one.
  await assert.rejects(reach('agent').health(), (thrown) =>
    hasCode(thrown, 'GODWIT_ROLE_FORBIDDEN'),
  );
});

test("a controller does not start with a host's certificate", async (t) => {
  const { caDir } = await authority(t);
  const stateDir = tempDir(t);
  const config = controllerConfig.parse({ name: 'a', address: '127.0.0.1:0', stateDir });
  const issued = await issue({ caDir, name: 'a', role: 'agent', addresses: [] });
  storeCredentials(path.join(stateDir, 'pki'), issued, 'controller');
  const started = startController({ config, log: silentLog });
  await assert.rejects(started, (thrown) => {
    return hasCode(thrown, 'GODWIT_CONFIG') && /needs the role controller/.test(thrown.message);
  });
});
