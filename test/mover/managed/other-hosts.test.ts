import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentConfig } from '../../../src/config.ts';
import type { Clock } from '../../../src/clock.ts';
import type { Connect } from '../../../src/mover/shared/surroundings.ts';
import { OtherHosts } from '../../../src/mover/managed/other-hosts.ts';
import { probing, type WatchOrder } from '../../../src/protocol/peer/probe.ts';
import { gapAt } from './samples.ts';

const clock: Clock = {
  wallMs: () => 9000,
  monotonicMs: () => 9000,
  // A watch is asked for once, and goes on until it is ended.
  sleep: (_ms, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error));
    }),
};
const SEEN = gapAt('10.9.0.7');
const peers = Object.fromEntries(
  ['b', 'c', 'd'].map((name, index) => [name, { address: `10.0.0.${index + 2}:1` }]),
);
const WATCHED = { id: 'm-11111111', guest: 'web1', ends: ['a', 'b'], probing: probing.parse({}) };

/** Agents that watch, but for those named, and what they were asked. */
function fleet(refusing: readonly string[] = [], probe: object = {}) {
  const asked: [string, WatchOrder][] = [];
  const ended: string[] = [];
  const closed: string[] = [];
  const connect = ((_contract: unknown, host: string) => ({
    api: {
      watch: async ({ body }: { body: WatchOrder }) => {
        asked.push([host, body]);
        return refusing.includes(host) ? { watching: false, why: 'no' } : { watching: true };
      },
      endWatch: async () => {
        ended.push(host);
        return SEEN;
      },
    },
    close: () => closed.push(host),
  })) as unknown as Connect;
  const address = '10.0.0.1:1';
  const config = agentConfig.parse({
    name: 'a',
    address,
    stateDir: '/s',
    peers,
    network: { probe },
  });
  return { hosts: new OtherHosts(config, connect, clock), asked, ended, closed };
}

test('uninvolved hosts watch the guest, without being given its addresses', async () => {
  const { hosts, asked, closed } = fleet(['d']);
  hosts.begin(WATCHED);
  hosts.begin(WATCHED);
  await new Promise(setImmediate);
  assert.deepEqual(
    asked.map(([host, { managed, nics, to }]) => [host, managed, nics, to]),
    [
      ['c', true, [], undefined],
      ['d', true, [], undefined],
    ],
  );
  const seen = await hosts.results(1000);
  assert.deepEqual(
    seen.map(({ host, gapMs, gapAtMs, notTried }) => [host, gapMs, gapAtMs, notTried]),
    [
      ['c', 90, 7600, undefined],
      ['d', undefined, undefined, 'no'],
    ],
  );
  await hosts.close();
  assert.deepEqual(closed, ['c', 'd']);
});

test('the configured hosts watch the guest, and its mover watches by itself', async () => {
  const { hosts, asked } = fleet([], { hosts: ['a', 'd'] });
  hosts.begin(WATCHED);
  await new Promise(setImmediate);
  assert.deepEqual(
    asked.map(([host]) => host),
    ['d'],
  );
  await hosts.close();
});

test('hosts that still watch are asked to end if their observations were never fetched', async () => {
  const { hosts, ended } = fleet();
  hosts.begin(WATCHED);
  await new Promise(setImmediate);
  await hosts.close();
  assert.deepEqual(ended, ['c', 'd']);
  const none = fleet();
  assert.deepEqual(await none.hosts.results(0), []);
  await none.hosts.close();
  assert.deepEqual(none.asked, []);
});
