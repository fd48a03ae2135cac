import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { controllerOfTwo } from '../controller/test-controller.ts';
import { tempDir } from '../rpc/test-contract.ts';

const run = promisify(execFile);
const PROGRAM = path.resolve(import.meta.dirname, '../../examples/client/fleet.ts');

test('the example of a client prints the state of a fleet and the plan of a drain', async (t) => {
  const web = { address: '127.0.0.1:0' };
  const { api, controller, caDir } = await controllerOfTwo(t, { web });
  const tokenFile = path.join(tempDir(t), 'token');
  const env = {
    PATH: process.env['PATH'],
    GODWIT_URL: `https://${controller.web}`,
    GODWIT_TOKEN_FILE: tokenFile,
    GODWIT_CA: path.join(caDir, 'ca.crt'),
  };
  const program = (...args: string[]) =>
    run(process.execPath, ['--conditions=godwit-source', PROGRAM, ...args], {
      env,
      timeout: 60_000,
    });
  const tokenOf = async (role: 'viewer' | 'operator') =>
    writeFileSync(tokenFile, (await api.createToken({ body: { name: role, role } })).token);

  await tokenOf('viewer');
  assert.equal((await program()).stdout, 'a: up, 2\nb: up, 0\n');
  await assert.rejects(program('a'), { code: 9, stderr: /^GODWIT_ROLE_FORBIDDEN: / });
  await tokenOf('operator');
  const { stdout } = await program('a');
  assert.match(stdout, /^web1 would go to b\nweb2 would stay: .*usb0.*\ndone after \d+ s/);
});
