import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { diagnose } from '../../../../src/drivers/hyperv/diagnose.ts';
import { hypervOptions } from '../../../../src/drivers/hyperv/options.ts';
import { powershellArgs, scriptText } from '../../../../src/drivers/hyperv/scripts.ts';
import { WinrmClient } from '../../../../src/drivers/hyperv/wsman/client.ts';
import { KerberosLogin } from '../../../../src/drivers/hyperv/wsman/kerberos/login.ts';
import { toGodwitError, type GodwitError } from '../../../../src/errors.ts';
import {
  bringPart,
  ntlmEnvironment,
  startAcceptor,
} from '../../../managers/hyperv/gss-acceptor.ts';
import { makeRealm, type Realm } from '../../../managers/hyperv/realm.ts';
import { serveWinrm, type Winrm } from '../../../managers/hyperv/server.ts';
import { serveWeb, type WebServer } from '../../../managers/hyperv/web-server.ts';
import { HypervWorld } from '../../../managers/hyperv/world.ts';
import { untilSo } from '../../../until.ts';

const signal = AbortSignal.timeout(120_000);
const SERVICE = 'HTTP/localhost';
const USER = 'godwit@GODWIT.TEST';
const HASH = 'ab'.repeat(32);
const ENVIRONMENT = { ...process.env };
let root = '';
let dir = '';
let realm: Realm;
let winrm: Winrm;
let web: WebServer;

function clientOf(more: object = {}): WinrmClient {
  return new WinrmClient({
    url: web.url,
    fingerprint: web.fingerprint,
    auth: 'kerberos',
    user: 'godwit@godwit.test',
    password: async () => 'Password',
    ...more,
  });
}

/** What is asked, to its end. */
async function listed(more: object = {}): Promise<string> {
  const client = clientOf(more);
  try {
    const args = powershellArgs(scriptText('list', {}));
    const { stdout } = await client.run('powershell.exe', args, signal);
    return Buffer.from(stdout, 'base64').toString();
  } finally {
    client.close();
  }
}

async function refused(more: object = {}): Promise<GodwitError> {
  const asked = winrm.asked.length;
  const thrown: unknown = await listed(more).then(
    () => assert.fail('it was let in'),
    (error: unknown) => error,
  );
  assert.equal(winrm.asked.length, asked, 'nothing got through to WinRM');
  return toGodwitError(thrown);
}

/** One login at the acceptor, for a certificate as this side sees it and as the server does. */
async function accepted(seen: string, real: string): Promise<string> {
  const acceptor = startAcceptor(root, 'kerberos', { env: realm.env, hash: real });
  const place = { user: USER, service: SERVICE, address: 'localhost' };
  const login = new KerberosLogin(place, 'Password', Buffer.from(seen, 'hex'), signal);
  try {
    const said = await acceptor.step(Buffer.from(await login.token(), 'base64'));
    if (said.startsWith('ok ')) await login.prove(said.split(' ').at(-1) ?? '');
    return said;
  } finally {
    login.end();
    acceptor.end();
  }
}

describe("WinRM by Kerberos with Debian's servers", () => {
  before(async () => {
    root = await bringPart('kerberos');
    dir = mkdtempSync(path.join(tmpdir(), 'godwit-kerberos-'));
    realm = await makeRealm(root, path.join(dir, 'realm'));
    await realm.administer('addprinc +requires_preauth -pw Password godwit');
    await realm.administer(`addprinc -randkey ${SERVICE}`);
    await realm.administer(`ktadd -k ${realm.keytab} ${SERVICE}`);
    await realm.start();
    // The logins are processes of this one.
    Object.assign(process.env, realm.env);
    const world = new HypervWorld();
    world.host('hv1');
    world.guest('web1', 'hv1');
    winrm = await serveWinrm(world, 'hv1', { auth: 'none' });
    web = await served();
  });
  after(async () => {
    process.env = ENVIRONMENT;
    await web?.stop();
    await winrm?.close();
    await realm?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  function served(more: object = {}): Promise<WebServer> {
    const where = mkdtempSync(path.join(dir, 'web-'));
    return serveWeb({
      root,
      dir: where,
      behind: winrm.url,
      mechanism: 'krb5',
      env: realm.env,
      credentials: `keytab:${realm.keytab}`,
      ...more,
    });
  }

  test('a user with a ticket is admitted for all requests of the connection, and no ticket stays behind', async () => {
    const kept = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('krb5cc'));
    const before = kept();
    winrm.asked.length = 0;
    realm.said.length = 0;
    assert.match(await listed(), /"name":"web1"/);
    assert.ok(winrm.asked.length >= 4, winrm.asked.join(' '));
    const issued = realm.said.filter((line) => /AS_REQ .* ISSUE/.test(line));
    assert.equal(issued.length, 1, 'one login');
    assert.deepEqual(kept(), before);
  });

  test('`godwit doctor` of the driver logs in by Kerberos and reports it', async () => {
    const passwordFile = path.join(dir, 'password');
    writeFileSync(passwordFile, 'Password\n', { mode: 0o600 });
    const { url, fingerprint } = web;
    const user = 'godwit@godwit.test';
    const section = { url, fingerprint, user, passwordFile, auth: 'kerberos' };
    const findings = await diagnose('hv1', hypervOptions.parse(section), signal);
    const login = findings.find(({ name }) => name === 'login');
    assert.match(login?.found ?? '', /by kerberos$/);
  });

  test('a wrong or expired password, a locked account and an unknown user are each refused by name', async () => {
    const wrong = await refused({ password: async () => 'password' });
    assert.equal(wrong.code, 'GODWIT_MANAGER_DENIED');
    assert.match(wrong.message, /the password is not that of godwit@GODWIT\.TEST/);
    await realm.administer('addprinc +requires_preauth -pw Password -pwexpire yesterday old');
    assert.match((await refused({ user: 'old@godwit.test' })).message, /has expired/);
    await realm.administer('addprinc +requires_preauth -allow_tix -pw Password locked');
    assert.match((await refused({ user: 'locked@godwit.test' })).message, /locked or disabled/);
    const nobody = await refused({ user: 'nobody@godwit.test' });
    assert.match(nobody.message, /does not know nobody@GODWIT\.TEST/);
  });

  test('a host whose service the realm does not know is refused with the fix', async () => {
    const { port } = new URL(web.url);
    const url = `https://127.0.0.1:${port}/wsman`;
    const unknown = await refused({ url });
    assert.match(unknown.message, /does not know the service HTTP\/127\.0\.0\.1/);
    assert.match(unknown.hint, /setspn -S HTTP\/127\.0\.0\.1/);
  });

  test('a host whose clock is more than 5 minutes off is refused', async (t) => {
    const late = await served({ clock: '+10m' });
    t.after(() => late.stop());
    const { code, message, hint } = await refused(late);
    assert.equal(code, 'GODWIT_MANAGER_DENIED');
    assert.match(message, /by Kerberos/);
    assert.match(`${message} ${hint}`, /5 minutes/);
  });

  test('a host that has another key than the realm is refused', async (t) => {
    const other = path.join(dir, 'other-keytab');
    await realm.administer(`addprinc -randkey HTTP/other`);
    await realm.administer(`ktadd -k ${other} HTTP/other`);
    const stranger = await served({ credentials: `keytab:${other}` });
    t.after(() => stranger.stop());
    assert.match((await refused(stranger)).message, /does not take the ticket/);
  });

  test('an answer without proof counts neither as an answer nor as a refusal: the request may be done', async (t) => {
    const stranger = await served({ provesNothing: true });
    t.after(() => stranger.stop());
    winrm.asked.length = 0;
    await assert.rejects(listed(stranger), {
      code: 'GODWIT_UNREACHABLE',
      message: /without proof that it is the host of its name/,
    });
    assert.deepEqual(winrm.asked, ['Create']);
  });

  test('the login is bound to the certificate: another one on the way is refused', async () => {
    assert.match(await accepted(HASH, HASH), /^ok godwit@GODWIT\.TEST/);
    assert.match(await accepted('cd'.repeat(32), HASH), /^error .*channel bindings/i);
  });

  test('a host without a proof, or with a false one, is refused', async () => {
    for (const proof of ['', 'YIGDBg==', Buffer.alloc(200_000).toString('base64')]) {
      const place = { user: USER, service: SERVICE, address: 'localhost' };
      const login = new KerberosLogin(place, 'Password', undefined, signal);
      await login.token();
      await assert.rejects(login.prove(proof), {
        code: 'GODWIT_MANAGER_DENIED',
        message: /does not take the ticket/,
      });
      login.end();
    }
  });

  test('a KDC that is down is reported as silent', async (t) => {
    await realm.stop();
    t.after(() => realm.start());
    const { code, message, hint } = await refused();
    assert.equal(code, 'GODWIT_UNREACHABLE');
    assert.match(message, /the KDC at GODWIT\.TEST does not answer/);
    assert.match(hint, /port 88/);
  });

  test('a KDC that never answers is waited for no longer than the signal allows', async (t) => {
    await realm.stop();
    const [asked, sockets] = [new AbortController(), new Set<Socket>()];
    const mute = createServer((socket) => {
      sockets.add(socket);
      asked.abort(new Error('enough'));
    }).listen(realm.port, '127.0.0.1');
    t.after(async () => {
      for (const socket of sockets) socket.destroy();
      mute.close();
      await once(mute, 'close');
      await realm.start();
    });
    const client = clientOf();
    await assert.rejects(client.query('SELECT * FROM X', asked.signal), { message: 'enough' });
    client.close();
    await untilSo(() => loginLines().length === 0);
  });

  test('the same web server accepts NTLM if configured', async (t) => {
    const users = 'DOMAIN:User:Password\n';
    const where = mkdtempSync(path.join(dir, 'ntlm-'));
    const env = { ...realm.env, ...ntlmEnvironment(root, where, users) };
    const ntlm = await served({ mechanism: 'ntlmssp', env, credentials: undefined });
    t.after(() => ntlm.stop());
    const account = { ...ntlm, auth: 'ntlm', user: String.raw`DOMAIN\User` };
    assert.match(await listed(account), /"name":"web1"/);
    const wrong = await refused({ ...account, password: async () => 'password' });
    assert.equal(wrong.code, 'GODWIT_MANAGER_DENIED');
    const alone = await refused({ auth: 'ntlm', user: String.raw`DOMAIN\User` });
    assert.equal(alone.code, 'GODWIT_MANAGER_DENIED');
  });

  test('the password is not in any command line', async () => {
    const place = { user: USER, service: SERVICE, address: 'localhost' };
    const login = new KerberosLogin(place, 'Password', undefined, signal);
    await login.token();
    const lines = loginLines();
    login.end();
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines.join(' '), /Password|godwit@/);
  });
});

/** Of the logins of this process. */
function loginLines(): string[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids.map((pid) => commandLine(pid)).filter((line) => /login-main/.test(line));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
