import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { issue, storeCredentials } from '../../../src/pki/authority.ts';
import { runCommandLine } from '../../../src/cli/frame.ts';
import { TABLE } from '../../../src/cli/table.ts';
import { readCredentials } from '../../../src/rpc/tls.ts';
import { fleet } from '../../agent/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { FakeContext } from '../fake.ts';

async function godwit(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const context = new FakeContext();
  const code = await runCommandLine(argv, TABLE, context);
  return { code, out: context.out.text, err: context.err.text };
}

test('a CA is created, and certificates from it for a host and a person', async (t) => {
  const root = tempDir(t);
  const dir = path.join(root, 'ca');
  assert.equal((await godwit('pki', 'init', '--dir', dir)).code, 0);
  const host = path.join(root, 'b');
  const issued = await godwit('pki', 'issue', 'b', '--dir', dir, '--out', host, '--json');
  assert.deepEqual(JSON.parse(issued.out), {
    name: 'b',
    role: 'agent',
    directory: host,
    files: ['ca.crt', 'host.crt', 'host.key', 'site.secret'],
  });
  readCredentials(host);
  const ann = path.join(root, 'ann');
  await godwit('pki', 'issue', 'ann', '--role', 'operator', '--dir', dir, '--out', ann);
  assert.deepEqual(readdirSync(ann).toSorted(), ['ca.crt', 'operator.crt', 'operator.key']);
});

test('an existing key is not overwritten', async (t) => {
  const root = tempDir(t);
  const dir = path.join(root, 'ca');
  await godwit('pki', 'init', '--dir', dir);
  const issue = () => godwit('pki', 'issue', 'b', '--dir', dir, '--out', path.join(root, 'b'));
  await issue();
  const { code, err } = await issue();
  assert.notEqual(code, 0);
  assert.match(err, /holds a host.key already/);
});

test('a bad name, address or number of days is refused with the reason', async (t) => {
  const dir = path.join(tempDir(t), 'ca');
  await godwit('pki', 'init', '--dir', dir);
  const cases: [string[], RegExp][] = [
    [['Web_1'], /Web_1 is not a name/],
    [['b', '--addresses', '10.0.0.1,a b'], /a b is neither/],
    [['b', '--days', '9999'], /from 1 to 3650/],
  ];
  for (const [argv, message] of cases) {
    const { code, err } = await godwit('pki', 'issue', ...argv, '--dir', dir);
    assert.equal(code, 2);
    assert.match(err, message);
  }
});

test("a person is shown a working address of an agent: with the host's own name", async (t) => {
  const root = tempDir(t);
  const dir = path.join(root, 'ca');
  await godwit('pki', 'init', '--dir', dir);
  const out = path.join(root, 'ann');
  const issued = await godwit(
    'pki',
    'issue',
    'ann',
    '--role',
    'operator',
    '--dir',
    dir,
    '--out',
    out,
  );
  assert.match(issued.out, /--agent https:\/\/NAME@HOST:PORT --certificates/);
});

test('a name that the CA does not know is neither revoked nor removed, unless that is intended', async (t) => {
  const root = tempDir(t);
  const dir = path.join(root, 'ca');
  await godwit('pki', 'init', '--dir', dir);
  await godwit('pki', 'issue', 'web-host', '--dir', dir, '--out', path.join(root, 'b'));
  await godwit('pki', 'issue', 'c', '--dir', dir, '--out', path.join(root, 'c'));
  for (const verb of ['revoke', 'remove']) {
    const wrong = await godwit('pki', verb, 'web-hots', '--dir', dir);
    assert.equal(wrong.code, 3);
    assert.match(wrong.err, /has issued no certificate to web-hots/);
    assert.match(wrong.err, /Did you mean web-host\?/);
    assert.equal((await godwit('pki', verb, 'old', '--dir', dir, '--unknown')).code, 0);
  }
  const serial = '5f3a09c1d2e4b687a1c0ffee5f3a09c1';
  for (const argv of [
    ['revoke', 'c'],
    ['revoke', 'web-host'],
    ['remove', 'web-host'],
    ['remove', 'web-host'],
    ['revoke', serial],
  ]) {
    assert.equal((await godwit('pki', ...argv, '--dir', dir)).code, 0, argv.join(' '));
  }
});

test("a person's certificate is renewed with a new key, under its name and role, after half of its life", async (t) => {
  const { host, caDir } = await fleet(t);
  const { agent } = await host('a', { holdsCa: true });
  const other = await host('b');
  const at = (address: string, name: string) => ['--at', `https://${name}@${address}`];
  for (const role of ['operator', 'viewer'] as const) {
    const dir = tempDir(t);
    const renew = (...where: string[]) => godwit('pki', 'renew', '--dir', dir, '--json', ...where);
    const read = (file: string) => readFileSync(path.join(dir, `${role}.${file}`), 'utf8');
    const person = { caDir, name: 'ann', role, addresses: [], days: 10 } as const;
    // Made six days ago.
    storeCredentials(dir, await issue(person, Date.now() - 6 * 86_400_000), role);
    const before = [read('crt'), read('key')];
    const refused = await renew(...at(other.agent.address, 'b'));
    assert.match(refused.err, /b does not hold the CA/);
    assert.deepEqual([read('crt'), read('key')], before);
    const { code, out } = await renew(...at(agent.address, 'a'));
    assert.equal(code, 0);
    const reported = JSON.parse(out) as Record<string, unknown>;
    assert.deepEqual(
      [reported['name'], reported['role'], reported['renewed']],
      ['ann', role, true],
    );
    const cert = new X509Certificate(read('crt'));
    assert.ok(cert.checkPrivateKey(createPrivateKey(read('key'))));
    assert.notEqual(read('key'), before[1]);
    assert.equal(reported['validUntil'], cert.validToDate.toISOString());
    assert.ok(cert.validToDate.getTime() > Date.now() + 9 * 86_400_000);
    assert.match(cert.subject, new RegExp(`CN=ann\\nOU=${role}`));
    // Too early for another one.
    const again = JSON.parse((await renew(...at(agent.address, 'a'))).out) as Record<
      string,
      unknown
    >;
    assert.equal(again['renewed'], false);
    assert.equal(new X509Certificate(read('crt')).serialNumber, cert.serialNumber);
    assert.deepEqual(readdirSync(dir).toSorted(), ['ca.crt', `${role}.crt`, `${role}.key`]);
    // What it was before renews nothing: whoever took it gets no other one.
    writeFileSync(path.join(dir, `${role}.crt`), before[0] ?? '');
    writeFileSync(path.join(dir, `${role}.key`), before[1] ?? '');
    assert.match((await renew(...at(agent.address, 'a'))).err, /with an outdated one/);
  }
});

test("a renewal of a certificate that is not a person's is refused with the reason", async (t) => {
  const { host, caDir } = await fleet(t);
  const { agent } = await host('a', { holdsCa: true });
  const dir = tempDir(t);
  storeCredentials(dir, await issue({ caDir, name: 'b', role: 'agent', addresses: [] }));
  const cases: [string[], RegExp][] = [
    [['--dir', dir, '--at', `https://a@${agent.address}`], /has no person’s certificate/],
    [['--dir', dir], /--at is missing/],
    [['--at', 'a:1'], /--dir is missing/],
    [['--dir', dir, '--at', 'a:1'], /not https:/],
  ];
  for (const [argv, message] of cases) {
    const { code, err } = await godwit('pki', 'renew', ...argv);
    assert.equal(code, 2);
    assert.match(err, message);
  }
});
