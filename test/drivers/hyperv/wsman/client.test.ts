import assert from 'node:assert/strict';
import { TLSSocket } from 'node:tls';
import { after, before, beforeEach, describe, test } from 'node:test';
import { WsmanFault } from '../../../../src/drivers/hyperv/wsman/answers.ts';
import { WinrmClient } from '../../../../src/drivers/hyperv/wsman/client.ts';
import { KerberosLogin } from '../../../../src/drivers/hyperv/wsman/kerberos/login.ts';
import { powershellArgs, scriptText } from '../../../../src/drivers/hyperv/scripts.ts';
import { toGodwitError } from '../../../../src/errors.ts';
import { serveWinrm, type Winrm } from '../../../managers/hyperv/server.ts';
import { HypervWorld } from '../../../managers/hyperv/world.ts';

const world = new HypervWorld();
let winrm: Winrm;
let client: WinrmClient;
const signal = AbortSignal.timeout(60_000);
const JOBS = "SELECT * FROM Msvm_MigrationJob WHERE VirtualSystemName='X'";
const ARGS = powershellArgs(scriptText('list', {}));

function clientOf(more: object = {}): WinrmClient {
  return new WinrmClient({
    url: winrm.url,
    fingerprint: winrm.fingerprint.replaceAll(':', '').toLowerCase(),
    auth: 'ntlm',
    user: String.raw`DOMAIN\User`,
    password: async () => 'Password',
    ...more,
  });
}

describe('a client of WinRM', () => {
  before(async () => {
    world.host('hv1');
    world.guest('web1', 'hv1');
    winrm = await serveWinrm(world, 'hv1');
  });
  after(async () => {
    client.close();
    await winrm.close();
  });
  beforeEach(() => {
    client?.close();
    client = clientOf();
    winrm.asked.length = 0;
  });

  test('a client runs a program to its end, and leaves no shell behind', async () => {
    winrm.temper.timeouts = 2;
    const { code, stdout } = await client.run('powershell.exe', ARGS, signal);
    assert.equal(code, 0);
    assert.match(Buffer.from(stdout, 'base64').toString(), /"name":"web1"/);
    assert.equal(winrm.asked.at(0), 'Create');
    assert.deepEqual(winrm.asked.slice(-2), ['Signal', 'Delete']);
  });

  test('a client reads a list to its end, however it is divided', async () => {
    for (const [index] of [1, 2, 3].entries()) world.migrate(world.guests[0]!, `hv${index}`);
    const key = world.guests[0]?.id.toUpperCase();
    const wql = `SELECT * FROM Msvm_MigrationJob WHERE VirtualSystemName='${key}'`;
    assert.equal((await client.query(wql, signal)).length, 3);
    assert.deepEqual(winrm.asked, ['Enumerate', 'Pull']);
  });

  test('a host that accepts only Kerberos is refused by name, and gets no proof of the password', async (t) => {
    t.after(() => {
      winrm.temper.offers = [];
    });
    for (const offers of [['Negotiate', 'Kerberos'], ['Kerberos'], ['Negotiate']]) {
      winrm.temper.offers = offers;
      await assert.rejects(client.query(JOBS, signal), (thrown) => {
        const { code, message, hint } = toGodwitError(thrown);
        assert.equal(code, 'GODWIT_MANAGER_DENIED');
        assert.match(message, new RegExp(`takes no NTLM \\(it offers ${offers.join(', ')}\\)`));
        return /`auth` to `kerberos`/.test(hint) && /Restrict NTLM/.test(hint);
      });
    }
    winrm.temper.offers = ['Basic realm="WSMAN"'];
    await assert.rejects(client.query(JOBS, signal), { code: 'GODWIT_UNREACHABLE' });
    const kerberos = clientOf({ auth: 'kerberos', user: 'u@example.com' });
    await assert.rejects(kerberos.query(JOBS, signal), {
      code: 'GODWIT_MANAGER_DENIED',
      message: /by Kerberos: it does not offer it \(HTTP 401, Basic/,
    });
    kerberos.close();
    assert.deepEqual(winrm.asked, []);
  });

  test('a server that closes with its challenge gets no proof over another connection', async (t) => {
    winrm.temper.closes = true;
    winrm.proofs.length = 0;
    t.after(() => {
      winrm.temper.closes = false;
    });
    await assert.rejects(client.query(JOBS, signal), {
      code: 'GODWIT_UNREACHABLE',
      message: /closed the connection meanwhile/,
    });
    assert.deepEqual(winrm.proofs, []);
  });

  test('a login by Kerberos whose next connection shows no certificate is refused, and nothing is sent over it', async (t) => {
    winrm.temper.offers = ['Negotiate', 'Kerberos'];
    winrm.temper.closes = true;
    t.after(() => Object.assign(winrm.temper, { offers: [], closes: false }));
    t.mock.method(KerberosLogin.prototype, 'token', async () => 'AAAA');
    const name = 'getPeerX509Certificate';
    const shown = Reflect.get(TLSSocket.prototype, name) as (this: TLSSocket) => unknown;
    let looks = 0;
    // Each connection is looked at twice: for the pinned certificate, and for what a login is bound to.
    t.mock.method(TLSSocket.prototype, name, function (this: TLSSocket) {
      looks += 1;
      return looks === 4 ? undefined : shown.call(this);
    });
    const kerberos = clientOf({ auth: 'kerberos', user: 'u@example.com' });
    t.after(() => kerberos.close());
    await assert.rejects(kerberos.query(JOBS, signal), {
      code: 'GODWIT_UNREACHABLE',
      message: /closed the connection meanwhile/,
    });
    assert.equal(looks, 4);
    assert.deepEqual(winrm.asked, []);
  });

  test('a server that repeatedly sends nothing is given up', async (t) => {
    winrm.temper.timeouts = Infinity;
    t.after(() => {
      winrm.temper.timeouts = 0;
    });
    await assert.rejects(client.run('powershell.exe', ARGS, signal), {
      code: 'GODWIT_PROTOCOL_INVALID',
      message: /200 times in a row/,
    });
    assert.equal(winrm.asked.filter((each) => each === 'Receive').length, 201);
    assert.equal(winrm.asked.at(-1), 'Delete');
  });

  test('a wrong password and an unknown user are refused by name', async () => {
    for (const more of [{ password: async () => 'password' }, { user: 'Nobody' }]) {
      const other = clientOf(more);
      const failed = other.query(JOBS, signal);
      await assert.rejects(failed, {
        code: 'GODWIT_MANAGER_DENIED',
      });
      other.close();
    }
  });

  test('another certificate is refused before a password is used', async () => {
    let used = 0;
    const password = async (): Promise<string> => `${(used += 1)}`;
    const wrong = clientOf({ fingerprint: 'ab'.repeat(32), password, auth: 'basic' });
    const unknown = clientOf({ fingerprint: undefined, password, auth: 'basic' });
    for (const each of [wrong, unknown]) {
      await assert.rejects(each.query(JOBS, signal), { code: 'GODWIT_PEER_UNTRUSTED' });
      each.close();
    }
    assert.deepEqual(winrm.asked, []);
  });

  test('an expired or future certificate is refused with its fix, even if its CA is known', async () => {
    const cases: readonly (readonly [number, RegExp])[] = [
      [-20, /Renew the certificate/],
      [20, /NTP/],
    ];
    for (const [days, hint] of cases) {
      const beginsMs = Date.now() + days * 86_400_000;
      const old = await serveWinrm(world, 'hv1', { auth: 'basic', beginsMs });
      const { url, cert: ca } = old;
      const other = clientOf({ url, ca, fingerprint: undefined, auth: 'basic' });
      await assert.rejects(other.query(JOBS, signal), (error: { code?: string; hint?: string }) => {
        assert.equal(error.code, 'GODWIT_PEER_UNTRUSTED');
        assert.match(error.hint ?? '', hint);
        return true;
      });
      other.close();
      await old.close();
      assert.deepEqual([old.asked, old.proofs], [[], []]);
    }
  });

  test('a client accepts a certificate that a CA vouches for, and uses Basic if configured', async () => {
    const basic = await serveWinrm(world, 'hv1', { auth: 'basic' });
    const target = {
      url: basic.url,
      fingerprint: basic.fingerprint.replaceAll(':', '').toLowerCase(),
    };
    const other = clientOf({ ...target, auth: 'basic', user: 'User' });
    assert.deepEqual(await other.query(JOBS, signal), []);
    other.close();
    await basic.close();
  });

  test('a client continues after the server has forgotten the login or cut the connection', async () => {
    assert.deepEqual(await client.query(JOBS, signal), []);
    winrm.temper.forgets = 1;
    assert.deepEqual(await client.query(JOBS, signal), []);
    winrm.temper.cutBefore = 1;
    await assert.rejects(client.query(JOBS, signal), { code: 'GODWIT_UNREACHABLE' });
    assert.deepEqual(await client.query(JOBS, signal), []);
  });

  test('a client does not repeat a request whose answer was lost', async () => {
    await client.query(JOBS, signal);
    winrm.asked.length = 0;
    winrm.temper.cutAfter = 1;
    await assert.rejects(client.query(JOBS, signal), { code: 'GODWIT_UNREACHABLE' });
    assert.deepEqual(winrm.asked, ['Enumerate']);
  });

  test('a malformed answer is refused, and a fault is reported', async () => {
    winrm.temper.status = { code: 503, times: 1 };
    await assert.rejects(client.query(JOBS, signal), { message: /HTTP 503/ });
    for (const text of ['', '<a/>', '<!DOCTYPE a><a/>', 'x'.repeat(5 * 1024 ** 2)]) {
      winrm.temper.garbage = { text, times: 1 };
      await assert.rejects(client.query(JOBS, signal), {
        code: text.length > 100 ? 'GODWIT_TOO_LARGE' : 'GODWIT_UNREACHABLE',
      });
    }
    const nothing = { className: 'Msvm_MigrationJob', key: {} };
    await assert.rejects(client.invoke(nothing, 'NoSuchMethod', {}, signal), WsmanFault);
  });

  test('a cancelled call ends at once, and the client still works', async () => {
    await client.query(JOBS, signal);
    winrm.temper.slowMs = 20_000;
    const began = performance.now();
    const short = AbortSignal.timeout(50);
    await assert.rejects(client.query(JOBS, short), { name: 'TimeoutError' });
    winrm.temper.slowMs = 0;
    assert.deepEqual(await client.query(JOBS, signal), []);
    assert.ok(performance.now() - began < 15_000);
  });
});
