import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  hostOfRendezvous,
  relayAsk,
  relayedName,
  rendezvous,
  rendezvousOf,
} from '../../src/protocol/relay.ts';

test("an address uses a relay if its host is a host's name and `.relay`", () => {
  assert.equal(rendezvousOf('b.relay:7443'), 'b:7443');
  assert.equal(relayedName('b.relay'), 'b');
  for (const plain of ['b:7443', '10.0.0.1:7443', '[::1]:7443', 'b.relay.example:7443', '.relay:1'])
    assert.equal(rendezvousOf(plain), undefined);
  assert.equal(hostOfRendezvous('b-1:7443'), 'b-1');
});

test("a rendezvous is a host's name and a port, and a first line contains nothing else", () => {
  for (const good of ['b:1', 'b-1:65535']) assert.ok(rendezvous.safeParse(good).success, good);
  for (const bad of ['b', 'b:0', 'b:65536', 'B:1', '-b:1', 'b:1 ', `${'b'.repeat(64)}:1`])
    assert.ok(!rendezvous.safeParse(bad).success, bad);
  assert.ok(relayAsk.safeParse({ version: 1, does: 'call', at: 'b:1' }).success);
  for (const bad of [
    { version: 2, does: 'call', at: 'b:1' },
    { version: 1, does: 'list', at: 'b:1' },
    { version: 1, does: 'call', at: 'b:1', more: 1 },
  ])
    assert.ok(!relayAsk.safeParse(bad).success);
});
