import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { agentConfig } from '../../src/config.ts';
import { hostCredentials, readPair } from '../../src/host/credentials.ts';
import { storeCredentials } from '../../src/pki/authority.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';

async function host(t: TestContext) {
  const { issue } = await authority(t);
  const stateDir = tempDir(t);
  const pki = path.join(stateDir, 'pki');
  const first = await issue('a', 'agent');
  storeCredentials(pki, first);
  const config = agentConfig.parse({ name: 'a', address: '127.0.0.1:0', stateDir });
  const put = (file: string, text: string) => {
    writeFileSync(path.join(pki, `${file}.tmp`), text);
    renameSync(path.join(pki, `${file}.tmp`), path.join(pki, file));
  };
  return { pki, config, issue, first, put };
}

const plain = ({ cert, key }: { cert: string; key: string }) => ({ cert, key });

test('a host shows the present certificate, in whatever order its files change', async (t) => {
  const { config, issue, first, put } = await host(t);
  const { current } = hostCredentials(config);
  assert.deepEqual(plain(current!()), plain(first));
  for (const order of [
    ['host.key', 'host.crt'],
    ['host.crt', 'host.key'],
  ]) {
    const before = plain(current!());
    const next = await issue('a', 'agent');
    const text = { 'host.key': next.key, 'host.crt': next.cert } as Record<string, string>;
    put(order[0]!, text[order[0]!]!);
    assert.deepEqual(plain(current!()), before);
    put(order[1]!, text[order[1]!]!);
    assert.deepEqual(plain(current!()), plain(next));
  }
});

test('a process that starts between the key and the certificate of a renewal finds the pair', async (t) => {
  const { pki, config, issue, put } = await host(t);
  const next = await issue('a', 'agent');
  put('host.crt.next', next.cert);
  put('host.key', next.key);
  assert.deepEqual(readPair(pki), plain(next));
  assert.deepEqual(plain(hostCredentials(config).current!()), plain(next));
});

test('a pair that is invalid, of another name or of another CA does not replace a valid pair', async (t) => {
  const { pki, config, issue, first, put } = await host(t);
  const { current } = hostCredentials(config);
  const stranger = await authority(t);
  for (const bad of [await issue('b', 'agent'), await stranger.issue('a', 'agent')]) {
    put('host.key', bad.key);
    put('host.crt', bad.cert);
    assert.deepEqual(plain(current!()), plain(first));
  }
  put('host.crt', 'nonsense');
  assert.deepEqual(plain(current!()), plain(first));
  rmSync(path.join(pki, 'host.key'));
  assert.deepEqual(plain(current!()), plain(first));
});

test('a key without its certificate is refused by name', async (t) => {
  const { config, issue, put } = await host(t);
  put('host.key', (await issue('a', 'agent')).key);
  assert.throws(() => hostCredentials(config), {
    code: 'GODWIT_PKI',
    message: /host\.crt is not the certificate of host\.key/,
  });
});

test('a file that is empty, or of another kind than its name, is refused by name', async (t) => {
  const { pki, config, put } = await host(t);
  const stranger = await authority(t);
  const cases: [name: string, text: string, message: RegExp][] = [
    ['ca.crt', '', /ca\.crt is empty/],
    ['ca.crt', 'hello', /ca\.crt is no certificate in PEM/],
    ['host.key', 'hello', /host\.key is no private key in PEM/],
    ['host.crt', ' ', /host\.crt is empty/],
    ['ca.crt', (await stranger.issue('a', 'agent')).ca, /host\.crt is not of the CA of .*ca\.crt/],
  ];
  for (const [name, text, message] of cases) {
    const good = readFileSync(path.join(pki, name), 'utf8');
    put(name, text);
    assert.throws(() => hostCredentials(config), { code: 'GODWIT_PKI', message });
    put(name, good);
  }
  hostCredentials(config);
});
