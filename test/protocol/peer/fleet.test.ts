import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  combinedPeers,
  fleetList,
  newerList,
  parseList,
  plainSerial,
  refusalOf,
  revokedSince,
  signedText,
  type FleetList,
  type KnownList,
  type ShownCertificate,
} from '../../../src/protocol/peer/fleet.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const time = fc.integer({ min: -1e10, max: 1e10 }).map((ms) => new Date(NOW + ms).toISOString());
const name = fc.constantFrom('a', 'b', 'c', 'ann');
const serial = fc.integer({ min: 1, max: 9 }).map((each) => each.toString(16));

const anyList: fc.Arbitrary<FleetList> = fc
  .record({
    number: fc.integer({ min: 1, max: 5 }),
    issuedAt: time,
    expiresAt: time,
    members: fc.uniqueArray(name, { maxLength: 4 }),
    removed: fc.uniqueArray(name, { maxLength: 2 }),
    revoked: fc.array(
      fc.oneof(fc.record({ serial, at: time }), fc.record({ name, before: time })),
      { maxLength: 4 },
    ),
  })
  .map((given) =>
    fleetList.parse({
      ...given,
      version: 1,
      members: given.members.map((each) => ({ name: each, address: `${each}:7443` })),
    }),
  );
const known = (list: FleetList): KnownList => ({
  list,
  signed: { list: JSON.stringify(list), signature: '' },
});
const shown: fc.Arbitrary<ShownCertificate> = fc.record({
  name,
  role: fc.constantFrom('viewer', 'operator', 'controller', 'agent'),
  serial,
  validFromMs: time.map((each) => Date.parse(each)),
});
const knowledge = (list: FleetList | undefined, peers: readonly string[]) => ({
  self: 'self',
  list,
  peers: new Set(peers),
});

test('every host ends with the same list, whatever the order and number of arrivals', () => {
  fc.assert(
    fc.property(
      fc
        .array(anyList, { minLength: 1, maxLength: 6 })
        .chain((lists) =>
          fc.tuple(
            fc.constant(lists),
            fc.shuffledSubarray([...lists, ...lists], { minLength: lists.length * 2 }),
          ),
        ),
      ([lists, delivered]) => {
        const inOrder = lists.map(known).reduce<KnownList | undefined>(newerList, undefined);
        const ended = delivered.map(known).reduce<KnownList | undefined>(newerList, undefined);
        assert.equal(ended?.signed.list, inOrder?.signed.list);
      },
    ),
  );
});

test('a list with a lower number is never accepted', () => {
  fc.assert(
    fc.property(fc.array(anyList, { maxLength: 12 }), (delivered) => {
      let kept: KnownList | undefined;
      for (const list of delivered) {
        const next = newerList(kept, known(list));
        assert.ok(next !== undefined && next.list.number >= (kept?.list.number ?? 0));
        kept = next;
      }
    }),
  );
});

test('a list survives its text, and any other text is refused without an exception', () => {
  fc.assert(
    fc.property(anyList, (list) => {
      assert.deepEqual(parseList(JSON.stringify(list)), list);
    }),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((value) => `${JSON.stringify(value)} `),
      ),
      (text) => {
        assert.equal(typeof parseList(text), 'string');
      },
    ),
  );
  fc.assert(
    fc.property(anyList, fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (list, at, char) => {
      const text = JSON.stringify(list);
      const place = at % text.length;
      const parsed = parseList(text.slice(0, place) + char + text.slice(place + 1));
      assert.ok(typeof parsed === 'string' || parsed.version === 1);
    }),
  );
  const twice = {
    ...fc.sample(anyList, 1)[0]!,
    members: [0, 0].map(() => ({ name: 'a', address: 'a:1' })),
  };
  assert.equal(parseList(JSON.stringify(twice)), 'it names a host twice');
});

test('a revoked certificate is refused, whatever else its holder has', () => {
  fc.assert(
    fc.property(anyList, shown, fc.array(name), (list, certificate, peers) => {
      const since = revokedSince(list, certificate);
      const refusal = refusalOf(certificate, knowledge(list, peers), NOW);
      assert.equal(refusal?.code === 'GODWIT_CERT_REVOKED', since !== undefined);
    }),
  );
});

test('a revoked name loses its earlier certificates, and not later ones', () => {
  const before = new Date(NOW).toISOString();
  const list = { ...fc.sample(anyList, 1)[0]!, revoked: [{ name: 'b', before }] };
  const of = (validFromMs: number) =>
    ({ name: 'b', role: 'agent', serial: '1', validFromMs }) as const;
  assert.equal(revokedSince(list, of(NOW - 1)), before);
  assert.equal(revokedSince(list, of(NOW)), undefined);
});

test('a host that used a renewed certificate keeps only it and later ones; a user of its name keeps all', () => {
  fc.assert(
    fc.property(anyList, shown, time, (given, certificate, from) => {
      const list = { ...given, revoked: [], renewed: [{ name: 'b', from }] };
      const ends =
        certificate.name === 'b' &&
        certificate.role === 'agent' &&
        certificate.validFromMs < Date.parse(from);
      assert.equal(revokedSince(list, certificate), ends ? from : undefined);
    }),
  );
});

test('a host has rights as long as the list or the configuration names it, and none once removed', () => {
  fc.assert(
    fc.property(anyList, name, fc.array(name), (given, host, peers) => {
      const list = { ...given, revoked: [] };
      const certificate = { name: host, role: 'agent', serial: 'ff', validFromMs: NOW } as const;
      const refusal = refusalOf(certificate, knowledge(list, peers), NOW);
      const isNamed = peers.includes(host) || list.members.some((each) => each.name === host);
      const mayGo = isNamed && !list.removed.includes(host);
      assert.equal(refusal?.code, mayGo ? undefined : 'GODWIT_NOT_A_MEMBER');
    }),
  );
});

test('without a list the configured peers are the fleet, and users are admitted', () => {
  const certificate = { name: 'b', serial: '1', validFromMs: NOW };
  const refused = (role: ShownCertificate['role'], peers: readonly string[]) =>
    refusalOf({ ...certificate, role }, knowledge(undefined, peers), NOW)?.code;
  assert.equal(refused('agent', []), 'GODWIT_NOT_A_MEMBER');
  assert.equal(refused('agent', ['b']), undefined);
  assert.equal(refused('operator', []), undefined);
  const self = { ...certificate, name: 'self', role: 'agent' } as const;
  assert.equal(refusalOf(self, knowledge(undefined, []), NOW), undefined);
});

test('a list that is too old refuses users, with a remedy, and still admits hosts', () => {
  fc.assert(
    fc.property(anyList, shown, (given, certificate) => {
      const list = { ...given, revoked: [], removed: [] };
      const refusal = refusalOf(certificate, knowledge(list, ['a', 'b', 'c', 'ann']), NOW);
      const isOld = Date.parse(list.expiresAt) < NOW && certificate.role !== 'agent';
      assert.equal(refusal?.code, isOld ? 'GODWIT_LIST_EXPIRED' : undefined);
      if (isOld) assert.match(refusal?.hint ?? '', /agent of the host that holds the CA/);
    }),
  );
});

test("peers come from the configuration and the list, and the configuration's address counts", () => {
  const list = fleetList.parse({
    ...fc.sample(anyList, 1)[0]!,
    members: ['self', 'b', 'c', 'd'].map((each) => ({ name: each, address: `${each}:1` })),
    removed: ['d', 'e'],
  });
  const configured = { b: { address: '10.0.0.2:7443' }, e: { address: 'e:1' } };
  const peers = combinedPeers('self', list, configured);
  assert.deepEqual(
    Object.entries(peers).map(([each, { address }]) => [each, address]),
    [
      ['b', '10.0.0.2:7443'],
      ['c', 'c:1'],
    ],
  );
  assert.deepEqual(combinedPeers('self', undefined, configured), configured);
});

test('a serial number is the same however it is written', () => {
  assert.equal(plainSerial('00AB'), 'ab');
  assert.equal(plainSerial('0'), '0');
});

test('a signed document includes its purpose', () => {
  assert.match(signedText({ list: '{}' }), /^godwit fleet list 1\n\{\}$/);
});
