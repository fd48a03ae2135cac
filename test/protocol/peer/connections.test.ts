import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connection,
  connectionsNews,
  MAX_IN_CALL,
} from '../../../src/protocol/peer/connections.ts';

const UDP = {
  protocol: 'udp',
  original: { from: '10.88.0.21', to: '10.88.0.10' },
  reply: { from: '10.88.0.10', to: '10.88.0.21' },
  originalPorts: { from: 53, to: 1000 },
  replyPorts: { from: 1000, to: 53 },
  timeoutS: 30,
  seenReply: true,
  assured: false,
  mark: 0,
  zone: 0,
};

test('a connection is described by addresses and numbers, and nothing that a program could interpret', () => {
  assert.equal(connection.safeParse(UDP).success, true);
  const odd = [
    { protocol: 'sctp' },
    { original: { from: '10.88.0.21 -F', to: '10.88.0.10' } },
    { original: { from: '-F', to: '10.88.0.10' } },
    { original: { from: '10.88.0.300', to: '10.88.0.10' } },
    { originalPorts: { from: 53, to: 65_536 } },
    { replyPorts: { from: 53 } },
    { timeoutS: -1 },
    { mark: 2 ** 32 },
    { zone: 1.5 },
  ];
  for (const each of odd) {
    assert.equal(connection.safeParse({ ...UDP, ...each }).success, false, JSON.stringify(each));
  }
  const tcp = { ...UDP, protocol: 'tcp' };
  assert.equal(connection.safeParse({ ...tcp, state: 'ESTABLISHED' }).success, true);
  assert.equal(connection.safeParse({ ...tcp, state: 'ESTABLISHED -j' }).success, false);
  assert.equal(connection.safeParse(tcp).success, false);
});

test('a call reports a bounded number of connections', () => {
  const takes = (fresh: readonly unknown[]): boolean =>
    connectionsNews.safeParse({ fresh, gone: [], complete: false }).success;
  const many = Array.from({ length: MAX_IN_CALL + 1 }, () => UDP);
  assert.equal(takes(many.slice(1)), true);
  assert.equal(takes(many), false);
});
