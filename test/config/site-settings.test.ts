import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAgentConfig } from '../../src/config.ts';
import { GodwitError } from '../../src/errors.ts';

const least = { name: 'a', address: '10.0.0.1:7443', stateDir: '/var/lib/godwit' };
const relay = { name: 'r', address: '203.0.113.9:7500' };

function refusal(config: object): string {
  try {
    parseAgentConfig('agent.json', JSON.stringify({ ...least, ...config }));
  } catch (thrown) {
    assert.ok(thrown instanceof GodwitError);
    assert.equal(thrown.code, 'GODWIT_CONFIG');
    return thrown.message;
  }
  throw new Error('it was taken');
}

test('a peer behind a relay is named by an address that ends in .relay', () => {
  const peers = { b: { address: 'b.relay:7443' }, c: { address: '10.0.0.3:7443' } };
  const config = parseAgentConfig(
    'agent.json',
    JSON.stringify({ ...least, relays: [relay], peers }),
  );
  assert.equal(config.peers['b']?.address, 'b.relay:7443');
});

test('impossible relays and addresses are refused with their place', () => {
  const peers = { b: { address: 'b.relay:7443' } };
  assert.match(refusal({ peers }), /`peers\.b`: b\.relay:7443 leads through a relay, and `relays`/);
  assert.match(
    refusal({ relays: [relay], peers: { b: { address: 'c.relay:7443' } } }),
    /`peers\.b`: c\.relay:7443 leads to c/,
  );
  assert.match(refusal({ relays: [relay, relay] }), /`relays`: r is there twice/);
  assert.match(
    refusal({ relays: [{ ...relay, address: 'r.relay:1' }] }),
    /`relays`: r is called at r\.relay:1, which leads through a relay: a loop/,
  );
  assert.match(
    refusal({ relays: [{ ...relay, address: least.address }] }),
    /where this host’s agent listens/,
  );
  const overlapping = { b: { address: relay.address } };
  assert.match(refusal({ relays: [relay], peers: overlapping }), /the address of the host b/);
  assert.match(refusal({ address: 'a.relay:7443', relays: [relay] }), /no address of this host/);
});
