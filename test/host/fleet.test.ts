import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { agentConfig, loadAgentConfig } from '../../src/config.ts';
import { checkList, Fleet, FLEET_FILE, readList } from '../../src/host/fleet.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';
import { listWith, signed } from './fleet-lists.ts';

async function party(t: TestContext) {
  const { caDir, issue } = await authority(t);
  const stateDir = tempDir(t);
  const pkiDir = path.join(stateDir, 'pki');
  mkdirSync(pkiDir);
  const ca = readFileSync(path.join(caDir, 'ca.crt'), 'utf8');
  writeFileSync(path.join(pkiDir, 'ca.crt'), ca);
  const file = path.join(stateDir, FLEET_FILE);
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const settings = { name: 'a', address: '127.0.0.1:0', stateDir };
  return { caDir, ca, issue, stateDir, settings, put };
}

const host = (name: string) => ({ name, role: 'agent', serial: 'ab', validFromMs: 0 }) as const;

test('a new list that this host gets grants and revokes rights at once', async (t) => {
  const { caDir, settings, put } = await party(t);
  const fleet = new Fleet(agentConfig.parse({ ...settings, peers: { b: { address: 'b:1' } } }));
  assert.equal(fleet.refuses(host('b')), undefined);
  assert.equal(fleet.refuses(host('c'))?.code, 'GODWIT_NOT_A_MEMBER');
  put(JSON.stringify(signed(caDir, listWith({ members: [{ name: 'c', address: 'c:1' }] }))));
  assert.equal(fleet.refuses(host('c')), undefined);
  assert.deepEqual(Object.keys(fleet.peers()), ['b', 'c']);
  put(JSON.stringify(signed(caDir, listWith({ number: 2, removed: ['b'] }))));
  assert.equal(fleet.refuses(host('b'))?.code, 'GODWIT_NOT_A_MEMBER');
  assert.deepEqual(Object.keys(fleet.peers()), []);
});

test('a peer that is removed from the configuration loses its rights without a restart', async (t) => {
  const { settings, stateDir } = await party(t);
  const file = path.join(stateDir, 'agent.json');
  const write = (peers: object): void =>
    writeFileSync(file, JSON.stringify({ ...settings, peers }));
  write({ b: { address: 'b:1' } });
  const fleet = new Fleet(loadAgentConfig(file));
  assert.equal(fleet.refuses(host('b')), undefined);
  write({});
  assert.equal(fleet.refuses(host('b'))?.code, 'GODWIT_NOT_A_MEMBER');
  writeFileSync(file, 'half a configura');
  assert.equal(fleet.refuses(host('b'))?.code, 'GODWIT_NOT_A_MEMBER');
});

test('no peer is admitted if the list on disk is damaged or of another CA', async (t) => {
  const { caDir, settings, put } = await party(t);
  const other = await authority(t);
  const config = agentConfig.parse({ ...settings, peers: { b: { address: 'b:1' } } });
  for (const text of ['', '{}', JSON.stringify(signed(other.caDir, listWith({})))]) {
    put(text);
    const refusal = new Fleet(config).refuses(host('b'));
    assert.equal(refusal?.code, 'GODWIT_LIST_DAMAGED');
    assert.match(
      refusal?.message ?? '',
      /\/fleet\.json is damaged, so every TLS connection is refused/,
    );
    assert.match(refusal?.hint ?? '', /Remove the file/);
  }
  put(JSON.stringify(signed(caDir, listWith({}))));
  assert.equal(new Fleet(config).refuses(host('b')), undefined);
});

test('a list is accepted only with every byte as the CA signed it', async (t) => {
  const { caDir, ca } = await party(t);
  const good = signed(caDir, listWith({ members: [{ name: 'c', address: 'c:1' }] }));
  assert.equal(checkList(good, ca).list.members.length, 1);
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, inList) => {
      const part = inList ? good.list : good.signature;
      const bytes = Buffer.from(part);
      bytes[at % bytes.length]! ^= flip;
      const changed = bytes.toString('latin1');
      const bad = inList ? { ...good, list: changed } : { ...good, signature: changed };
      // The last digit of a signature in base64url has two bits that mean nothing.
      if (
        !inList &&
        Buffer.from(changed, 'base64url').equals(Buffer.from(good.signature, 'base64url'))
      )
        return;
      assert.throws(() => checkList(bad, ca), { code: 'GODWIT_PKI' });
    }),
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => readList(text, ca), { code: 'GODWIT_PKI' });
    }),
  );
  assert.throws(() => checkList(signed(caDir, 'signed, but no list'), ca), { code: 'GODWIT_PKI' });
});
