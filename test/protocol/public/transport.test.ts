import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preparation } from '../../../src/protocol/peer/migration.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { transport } from '../../../src/protocol/public/transport.ts';

test("the transport of memory is one of the hypervisors', with a default", () => {
  for (const one of transport.options) {
    assert.equal(migrationSettings.parse({ transport: one }).transport, one);
  }
  assert.equal(migrationSettings.parse({}).transport, undefined);
  assert.equal(migrationSettings.safeParse({ transport: 'udp' }).success, false);
});

test('an order for memory without TLS is sent only with a transport that has none', () => {
  const { stream } = preparation.shape;
  const plain = { mode: 'precopy', streams: 4, compress: 'none' };
  assert.equal(stream.safeParse({ ...plain, tls: true }).success, true);
  assert.equal(stream.safeParse({ ...plain, tls: false }).success, false);
  assert.equal(stream.safeParse({ ...plain, tls: false, transport: 'tcp' }).success, false);
  for (const one of ['zero-copy', 'rdma'])
    assert.equal(stream.safeParse({ ...plain, tls: false, transport: one }).success, true);
});
