import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { LibvirtClient } from '../../../src/drivers/libvirt/client.ts';
import { notConnected } from '../../../src/drivers/libvirt/rpc/connection.ts';
import { hasCode, toGodwitError } from '../../../src/errors.ts';
import { XdrWriter } from '../../../src/formats/xdr.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { fakeDaemon } from './support/fake-daemon.ts';

const run = promisify(execFile);
const NONE = { ca: '/none', cert: '/none', key: '/none' };
const AUTH_LIST = 66;
const OPEN = 1;

function open(socket: string): Promise<LibvirtClient> {
  const uri = `qemu+unix:///system?socket=${socket}`;
  return LibvirtClient.open(uri, NONE, AbortSignal.timeout(10_000));
}

/** A daemon that offers these ways to log in, and refuses to be opened with this code. */
function daemon(t: TestContext, types: readonly number[], code: number): Promise<string> {
  return fakeDaemon(t, {
    [AUTH_LIST]: () => new XdrWriter().uint32(types.length, ...types),
    [OPEN]: () => (code === 0 ? new XdrWriter() : code),
  });
}

/** What becomes of a connection that a user without rights makes. */
async function metByNobody(socket: string): Promise<string> {
  const client = new URL('../../../src/drivers/libvirt/client.ts', import.meta.url);
  const uri = `qemu+unix:///system?socket=${socket}`;
  const program = `
    import { LibvirtClient } from ${JSON.stringify(client.href)};
    process.setgroups([]);
    process.setgid(65534);
    process.setuid(65534);
    await LibvirtClient.open(${JSON.stringify(uri)}, ${JSON.stringify(NONE)}, AbortSignal.timeout(20000)).then(
      (client) => { console.log('open'); client.close(); },
      (error) => console.log(error.code + ' ' + error.message + ' ' + error.hint),
    );`;
  const argv = ['--input-type=module', '-e', program];
  return (await run(process.execPath, argv, { timeout: 60_000 })).stdout.trim();
}

describe('an unusable libvirt', () => {
  test('a daemon that does not run is reported, with the command that shows it', async (t) => {
    await assert.rejects(open(path.join(tempDir(t), 'none')), (thrown) => {
      const { code, hint } = toGodwitError(thrown);
      assert.equal(code, 'GODWIT_UNREACHABLE');
      assert.match(hint, /systemctl status libvirtd/);
      return true;
    });
  });

  test('a socket of another owner means denied, not silent', () => {
    const forbidden = Object.assign(new Error('connect EACCES'), { code: 'EACCES' });
    assert.ok(hasCode(notConnected('qemu+unix:///system', forbidden), 'GODWIT_MANAGER_DENIED'));
    const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    assert.ok(hasCode(notConnected('qemu+unix:///system', away), 'GODWIT_UNREACHABLE'));
  });

  const skip = process.getuid?.() === 0 ? false : 'only root becomes another user';
  test('a user without access to the socket or its directory is denied', { skip }, async (t) => {
    const socket = await daemon(t, [0], 0);
    for (const [place, mode] of [
      [path.dirname(socket), 0o700],
      [socket, 0o600],
    ] as const) {
      chmodSync(path.dirname(socket), 0o755);
      chmodSync(socket, 0o777);
      assert.equal(await metByNobody(socket), 'open');
      chmodSync(place, mode);
      assert.match(
        await metByNobody(socket),
        /^GODWIT_MANAGER_DENIED .*EACCES.* Run the agent as root/,
      );
    }
  });

  test('the hint fits the transport of the connection', () => {
    const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const forbidden = Object.assign(new Error('connect EACCES'), { code: 'EACCES' });
    for (const [uri, none, denied] of [
      ['qemu+unix:///system', /libvirtd`, or virtqemud/, /as root/],
      ['qemu+tls://b/system', /libvirtd-tls\.socket/, /auth_tls/],
      ['qemu+tcp://b/system', /libvirtd-tcp\.socket/, /auth_tcp/],
    ] as const) {
      assert.match(toGodwitError(notConnected(uri, away)).hint, none);
      assert.match(toGodwitError(notConnected(uri, forbidden)).hint, denied);
    }
  });

  test('a daemon that requires a login, or forbids it by policy, means denied', async (t) => {
    const polkit = 2;
    await assert.rejects(open(await daemon(t, [polkit], 0)), { code: 'GODWIT_MANAGER_DENIED' });
    await assert.rejects(open(await daemon(t, [0], 88)), { code: 'GODWIT_MANAGER_DENIED' });
  });
});
