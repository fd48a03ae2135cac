import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseToken } from '../../src/agent/pki/token.ts';
import { runCommandLine } from '../../src/cli/frame.ts';
import { TABLE } from '../../src/cli/table.ts';
import { readCredentials } from '../../src/rpc/tls.ts';
import { fleet } from '../agent/parties.ts';
import { tempDir } from '../rpc/parties.ts';
import { FakeContext } from './fake.ts';

async function godwit(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const context = new FakeContext();
  const code = await runCommandLine(argv, TABLE, context);
  return { code, out: context.out.text, err: context.err.text };
}

test('a CA is made, and certificates of it for a host and a person', async (t) => {
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

test('a key that is there is not written over', async (t) => {
  const root = tempDir(t);
  const dir = path.join(root, 'ca');
  await godwit('pki', 'init', '--dir', dir);
  const issue = () => godwit('pki', 'issue', 'b', '--dir', dir, '--out', path.join(root, 'b'));
  await issue();
  const { code, err } = await issue();
  assert.notEqual(code, 0);
  assert.match(err, /holds a host.key already/);
});

test('the token that is printed lets a host in', async (t) => {
  const { host, caDir } = await fleet(t);
  const { agent } = await host('a', { holdsCa: true });
  const made = await godwit('pki', 'issue', 'b', '--dir', caDir, '--join', '--at', agent.address);
  const token = /godwit pki join '([^']+)'/.exec(made.out)?.[1] ?? '';
  assert.equal(parseToken(token).address, agent.address);
});

test('a bad name, address or number of days is refused in words', async (t) => {
  const dir = path.join(tempDir(t), 'ca');
  await godwit('pki', 'init', '--dir', dir);
  const cases: [string[], RegExp][] = [
    [['Web_1'], /Web_1 is not a name/],
    [['b', '--addresses', '10.0.0.1,a b'], /a b is neither/],
    [['b', '--days', '9999'], /from 1 to 3650/],
    [['b', '--join'], /needs --at HOST:PORT/],
  ];
  for (const [argv, message] of cases) {
    const { code, err } = await godwit('pki', 'issue', ...argv, '--dir', dir);
    assert.equal(code, 2);
    assert.match(err, message);
  }
});
