import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiver, receiverOffer, receiverRequest } from '../../../src/protocol/peer/receiver.ts';

const REQUEST = {
  id: 'm-00000001',
  guest: 'web1',
  from: 'a',
  driver: 'fake',
  memoryBytes: 1,
  terms: { linkGraceMs: 1000, sharing: 'guest' },
  timeoutMs: 60_000,
};

test('a request for a receiver names no path and no address', () => {
  assert.equal(receiverRequest.safeParse(REQUEST).success, true);
  const more = receiverRequest.parse({ ...REQUEST, socket: '/etc/x', address: 'c:1' });
  assert.deepEqual(more, REQUEST);
  for (const bad of [{ id: '../x' }, { driver: '' }, { memoryBytes: -1 }, { terms: {} }]) {
    assert.equal(receiverRequest.safeParse({ ...REQUEST, ...bad }).success, false);
  }
});

test('a request for a receiver has an end: missing links are awaited only as long as a user may ask', () => {
  for (const linkGraceMs of [0, 999, 1000.5, 120_001, 1e12]) {
    const terms = { ...REQUEST.terms, linkGraceMs };
    assert.equal(receiverRequest.safeParse({ ...REQUEST, terms }).success, false);
  }
  for (const timeoutMs of [undefined, 999, 86_400_001]) {
    assert.equal(receiverRequest.safeParse({ ...REQUEST, timeoutMs }).success, false);
  }
});

test('an answer has an address, a session and a place, or the reason for having none', () => {
  const session = '0'.repeat(32);
  const given = { address: 'b:4711', session, place: '/run/x' };
  assert.deepEqual(receiver.parse(given), given);
  assert.equal(receiver.safeParse({ ...given, session: 'short' }).success, false);
  const disks = { address: 'b:4712', session };
  assert.deepEqual(receiver.parse({ ...given, disks }), { ...given, disks });
  assert.equal(receiver.safeParse({ ...given, disks: { address: 'b:4712' } }).success, false);
  const wire = { version: 2, cores: 1, knowsGuest: false };
  assert.equal(receiverOffer.safeParse({ wire, why: 'it has no driver' }).success, true);
});
