import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { issue } from '../../src/pki/authority.ts';
import {
  changeList,
  followedList,
  heldBy,
  isHeldBy,
  isDue,
  keepList,
  latestList,
  unchanged,
  withMember,
  withoutHost,
  withoutName,
  withoutSerial,
} from '../../src/pki/fleet-list.ts';
import { revokedSince, type ShownCertificate } from '../../src/protocol/peer/fleet.ts';
import { authority } from '../rpc/test-contract.ts';

const DAY_MS = 86_400_000;
const member = (name: string) => ({ name, address: `${name}:7443`, addresses: [] });

function shown(pem: string): ShownCertificate {
  const { serialNumber, validFrom } = new X509Certificate(pem);
  return { name: 'b', role: 'agent', serial: serialNumber, validFromMs: Date.parse(validFrom) };
}

test('the version grows by one with every change, and the last change of a host counts', async (t) => {
  const { caDir } = await authority(t);
  const changes = fc.array(
    fc.record({ host: fc.constantFrom('b', 'c', 'd'), joins: fc.boolean() }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(changes, (all) => {
      for (const { host, joins } of all) {
        const number = latestList(caDir)?.list.number ?? 0;
        const change = joins ? withMember(member(host)) : withoutHost(host);
        const { list } = changeList(caDir, change, Date.now());
        assert.equal(list.number, number + 1);
        assert.equal(
          list.members.some(({ name }) => name === host),
          joins,
        );
        assert.equal(list.removed.includes(host), !joins);
      }
    }),
    { numRuns: 15 },
  );
});

test('a name that is revoked loses all its certificates, and one that is issued next is valid', async (t) => {
  const { caDir } = await authority(t);
  const get = async () =>
    shown((await issue({ caDir, name: 'b', role: 'agent', addresses: [] })).cert);
  const nowMs = Date.now();
  const certificates = [];
  for (let round = 0; round < 3; round += 1) {
    certificates.push(await get());
    const { list } = changeList(caDir, withoutName('b'), nowMs);
    for (const old of certificates) assert.notEqual(revokedSince(list, old), undefined);
    assert.equal(revokedSince(list, await get()), undefined);
    assert.equal(list.revoked.length, 1);
  }
});

test('one certificate is revoked by its number, however often that is repeated', async (t) => {
  const { caDir } = await authority(t);
  const { cert } = await issue({ caDir, name: 'b', role: 'agent', addresses: [] });
  const other = await issue({ caDir, name: 'b', role: 'agent', addresses: [] });
  const { serial } = shown(cert);
  changeList(caDir, withoutSerial(serial.toLowerCase()), Date.now());
  const { list } = changeList(caDir, withoutSerial(serial), Date.now());
  assert.equal(list.revoked.length, 1);
  assert.notEqual(revokedSince(list, shown(cert)), undefined);
  assert.equal(revokedSince(list, shown(other.cert)), undefined);
  const later = changeList(caDir, unchanged, Date.now() + 3651 * DAY_MS);
  assert.deepEqual(later.list.revoked, []);
});

test('two simultaneous changes of the list make two lists, one based on the other', async (t) => {
  const { caDir } = await authority(t);
  changeList(caDir, withMember(member('b')), Date.now());
  let between = true;
  const { list } = changeList(
    caDir,
    (before, nowMs) => {
      // Another process gets in once, after the list was read.
      if (between) changeList(caDir, withMember(member('c')), nowMs);
      between = false;
      return withMember(member('d'))(before, nowMs);
    },
    Date.now(),
  );
  assert.equal(list.number, 3);
  assert.deepEqual(
    list.members.map(({ name }) => name),
    ['b', 'c', 'd'],
  );
  assert.equal(keepList(caDir, latestList(caDir)!), false);
});

test('the host with the CA is the one in the list until its name or an address of it changes', async (t) => {
  const { caDir } = await authority(t);
  const old = { ...member('a'), addresses: ['10.1.0.1:7443'] };
  const { list } = changeList(caDir, heldBy(old), Date.now());
  assert.equal(isHeldBy(list, old), true);
  for (const change of [{ name: 'b' }, { address: '10.0.0.9:7443' }, { addresses: [] }]) {
    const now = { ...old, ...change };
    assert.equal(isHeldBy(list, now), false, JSON.stringify(change));
    const next = changeList(caDir, heldBy(now), Date.now());
    assert.equal(isHeldBy(latestList(caDir)!.list, now), true);
    assert.equal(next.list.members.filter(({ name }) => name === now.name).length, 1);
  }
});

test('the host with the CA is not removed, and a list that is too large is not signed', async (t) => {
  const { caDir } = await authority(t);
  changeList(caDir, heldBy(member('a')), Date.now());
  assert.throws(() => changeList(caDir, withoutHost('a'), Date.now()), { code: 'GODWIT_PKI' });
  const many = Array.from({ length: 5000 }, (_, index) => ({
    serial: index.toString(16),
    at: new Date().toISOString(),
  }));
  const change = () => changeList(caDir, (list) => ({ ...list, revoked: many }), Date.now());
  assert.throws(change, { code: 'GODWIT_PKI', message: /4096 revocations/ });
  assert.equal(latestList(caDir)?.list.number, 1);
});

test('a list is due before half of its life is over, and a damaged one is named', async (t) => {
  const { caDir } = await authority(t);
  const nowMs = Date.now();
  const { list } = changeList(caDir, unchanged, nowMs);
  assert.equal(isDue(list, nowMs + DAY_MS), false);
  const half = nowMs + (Date.parse(list.expiresAt) - nowMs) / 2;
  assert.equal(isDue(list, half), true);
  for (let round = 0; round < 40; round += 1) changeList(caDir, unchanged, nowMs);
  const kept = readdirSync(path.join(caDir, 'fleet'));
  assert.ok(kept.length <= 32 && kept.includes('41.json'));
  writeFileSync(path.join(caDir, 'fleet', '42.json'), 'half a li');
  assert.throws(() => latestList(caDir), { code: 'GODWIT_PKI', message: /42\.json/ });
});

test('a followed list is read again exactly if it has changed, even within one file system tick', async (t) => {
  const { caDir } = await authority(t);
  let nowMs = 0;
  const look = followedList(caDir, { monotonicMs: () => nowMs });
  const change = (name: string) => changeList(caDir, withMember(member(name)), Date.now());
  assert.equal(look(), latestList(caDir));
  change('b');
  assert.deepEqual(look(), latestList(caDir));
  const directory = path.join(caDir, 'fleet');
  const { atime, mtime } = statSync(directory);
  utimesSync(directory, atime, mtime);
  look();
  change('c');
  utimesSync(directory, atime, mtime);
  nowMs = 100;
  assert.deepEqual(look(), latestList(caDir));
  nowMs = 5000;
  const settled = look();
  assert.deepEqual(settled, latestList(caDir));
  assert.equal(look(), settled);
  change('d');
  assert.deepEqual(look(), latestList(caDir));
  nowMs = 10_000;
  look();
  // One that is damaged in its place is seen at once, whatever time the copy has.
  const newest = path.join(directory, `${latestList(caDir)?.list.number}.json`);
  const times = statSync(newest);
  writeFileSync(newest, 'half a li');
  utimesSync(newest, times.atime, times.mtime);
  assert.throws(look, { code: 'GODWIT_PKI' });
});
