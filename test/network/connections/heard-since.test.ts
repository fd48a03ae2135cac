import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyOf } from '../../../src/network/connections/entries.ts';
import {
  heardSince,
  type RestoredConnection,
} from '../../../src/network/connections/heard-since.ts';
import {
  connection,
  type Connection,
  type TCP_STATES,
} from '../../../src/protocol/peer/connections.ts';

const WOUND_S = 432_000;
function tcp(from: number, timeoutS: number, state: (typeof TCP_STATES)[number]): Connection {
  const pair = { from: '10.9.0.2', to: '10.9.0.21' };
  return connection.parse({
    protocol: 'tcp',
    original: pair,
    reply: { from: pair.to, to: pair.from },
    originalPorts: { from, to: 80 },
    replyPorts: { from: 80, to: from },
    timeoutS,
    state,
    seenReply: true,
    assured: true,
    mark: 0,
    zone: 0,
  });
}

const handed = (...ports: number[]): Map<string, RestoredConnection> =>
  new Map(
    ports.map((each) => [
      keyOf(tcp(each, WOUND_S, 'ESTABLISHED')),
      { timeoutS: WOUND_S, putAtMs: 0 },
    ]),
  );

describe('handed-over connections', () => {
  test('handed-over connections carry packets if their timeout was renewed, and show nothing otherwise', () => {
    const now = [tcp(1, WOUND_S, 'ESTABLISHED'), tcp(2, WOUND_S - 10, 'ESTABLISHED')];
    assert.deepEqual(heardSince(handed(1, 2), now, 10_000), {
      count: 2,
      established: 2,
      carried: 1,
      reset: 0,
    });
  });

  test('handed-over connections that were just inserted do not count as used', () => {
    const now = [tcp(1, WOUND_S, 'ESTABLISHED')];
    assert.equal(heardSince(handed(1), now, 1500).carried, 0);
  });

  test('handed-over connections may have ended, by a reset or normally, or be forgotten', () => {
    const now = [tcp(1, 10, 'CLOSE'), tcp(2, 120, 'TIME_WAIT')];
    assert.deepEqual(heardSince(handed(1, 2, 3), now, 5000), {
      count: 3,
      established: 0,
      carried: 0,
      reset: 1,
    });
  });
});
