import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GuestConnections } from '../../../../../src/mover/direct/source/network/connections.ts';
import {
  connection,
  MAX_IN_CALL,
  type Connection,
} from '../../../../../src/protocol/peer/connections.ts';
import { peerOf } from '../answers.ts';
import { unreachable } from '../unreachable.ts';

type Dependencies = Parameters<GuestConnections['handOver']>[0];

const GUEST = '10.9.0.21';
const signal = new AbortController().signal;

/** Connections of the guest’s, each from a port of its own. */
function entriesOf(count: number, first = 1024): Connection[] {
  return Array.from({ length: count }, (_, at) =>
    connection.parse({
      protocol: 'udp',
      original: { from: GUEST, to: '10.9.0.1' },
      reply: { from: '10.9.0.1', to: GUEST },
      timeoutS: 60,
      seenReply: true,
      assured: true,
      mark: 0,
      zone: 0,
      originalPorts: { from: first + at, to: 53 },
      replyPorts: { from: 53, to: first + at },
    }),
  );
}

interface ConnectionsReport {
  readonly epoch: number;
  readonly fresh: readonly Connection[];
  readonly gone: readonly Connection[];
  readonly complete: boolean;
}

function stage(given: { readonly leave?: boolean; readonly addresses?: readonly string[] } = {}) {
  const reported: ConnectionsReport[] = [];
  const host: { entries: Connection[]; leftOut: number; count: number; answer: object } = {
    entries: [],
    leftOut: 0,
    count: 1,
    answer: {},
  };
  const api = {
    connections: async ({ body }: { body: ConnectionsReport }) => {
      reported.push(body);
      if (host.answer instanceof Error) throw host.answer;
      return host.answer;
    },
  };
  const networks = [{ addresses: given.addresses ?? [GUEST] }];
  const context: unknown = {
    config: { name: 'a', network: { connections: given.leave === true ? 'leave' : 'move' } },
    request: { id: 'm-1' },
    state: () => ({ plan: { epoch: 17, to: 'b' }, known: { networks } }),
    peer: peerOf(api),
  };
  const connections = new GuestConnections({
    trackedHere: async () => host.count,
    readConnections: async () => ({ entries: host.entries, leftOut: host.leftOut }),
  });
  const counts = (): unknown[] =>
    reported.map(({ fresh, gone, complete }) => [fresh.length, gone.length, complete]);
  return { host, reported, counts, connections, context: context as Dependencies };
}

describe('the connections of a guest', () => {
  test('connections are reported before the guest, and at the end only the new and the gone ones', async () => {
    const { host, counts, connections, context } = stage();
    host.entries = entriesOf(3);
    const { verdict, evidence } = await connections.handOver(context, signal);
    assert.deepEqual([verdict, evidence], ['pass', '3 handed over ahead of the guest']);
    host.entries = entriesOf(3, 1025);
    await connections.last(context);
    assert.deepEqual(counts(), [
      [3, 0, false],
      [1, 1, true],
    ]);
    assert.deepEqual(connections.late(), []);
  });

  test('the last report is complete even without news, but not if some connections cannot be reported', async () => {
    const { host, counts, connections, context } = stage();
    host.entries = entriesOf(1);
    await connections.handOver(context, signal);
    await connections.last(context);
    host.leftOut = 1;
    await connections.last(context);
    assert.deepEqual(counts().slice(1), [
      [0, 0, true],
      [0, 0, false],
    ]);
  });

  test('connections are reported in as many calls as needed, and only the last completes them', async () => {
    const { host, counts, connections, context } = stage();
    host.entries = entriesOf(MAX_IN_CALL + 1);
    await connections.last(context);
    assert.deepEqual(counts(), [
      [MAX_IN_CALL, 0, false],
      [1, 0, true],
    ]);
  });

  test('connections are ignored if the host is configured so, tracks none, or the guest has none', async () => {
    const left = stage({ leave: true });
    const other = stage({ addresses: [] });
    const none = stage();
    none.host.count = 0;
    for (const { connections, context, reported } of [left, other, none]) {
      assert.equal((await connections.handOver(context, signal)).verdict, 'pass');
      await connections.last(context);
      assert.deepEqual(reported, []);
    }
  });

  test('connections that cannot be reported end no migration, and cause one warning', async () => {
    for (const answer of [unreachable, { problem: 'its table is full' }]) {
      const { host, connections, context } = stage();
      host.entries = entriesOf(1);
      host.answer = answer;
      const check = await connections.handOver(context, signal);
      assert.equal(check.verdict, 'warn');
      assert.match(check.evidence, /^not handed over: .*(silent|b: its table is full)/);
      await connections.last(context);
      assert.deepEqual(connections.late([check]), []);
      assert.deepEqual(
        connections.late([]).map(({ verdict }) => verdict),
        ['warn'],
      );
    }
  });

  test('connections that were not reported are reported the next time, which solves the problem', async () => {
    const { host, counts, connections, context } = stage();
    host.entries = entriesOf(2);
    host.answer = unreachable;
    await connections.handOver(context, signal);
    host.answer = {};
    await connections.last(context);
    assert.deepEqual(counts()[1], [2, 0, true]);
    assert.deepEqual(connections.late(), []);
  });

  test('connections of protocols that cannot be reported cause a warning', async () => {
    const { host, connections, context } = stage();
    host.entries = entriesOf(1);
    host.leftOut = 2;
    const { verdict, evidence } = await connections.handOver(context, signal);
    assert.equal(verdict, 'warn');
    assert.match(evidence, /1 handed over ahead of the guest; 2 left out/);
  });
});
