import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { systemClock } from '../../../src/clock.ts';
import { Follower, type FollowerListener } from '../../../src/controller/inventory/follower.ts';
import { silentLog } from '../../../src/log.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { listenTls } from '../../../src/rpc/listen.ts';
import { serve } from '../../../src/rpc/server.ts';
import { fleet } from '../../agent/samples.ts';
import { hello } from '../../rpc/test-contract.ts';

/** An agent that is held to nothing in what it reports. */
const { hello: greeting, host, guests, hostEvents } = agentContract;
const loose = {
  hello: greeting,
  host,
  guests,
  hostEvents: { ...hostEvents, response: z.record(z.string(), z.unknown()) },
};

const sample = (cores: unknown, used: unknown = 0.5) => ({
  at: new Date().toISOString(),
  overMs: 10_000,
  processor: { cores: 8, used, steal: 0 },
  memory: { totalBytes: 2, availableBytes: 1, swapUsedBytes: 0 },
  network: { inBytesPerS: 0, outBytesPerS: 0 },
  disk: { readBytesPerS: 0, writeBytesPerS: 0 },
  guests: [{ name: 'web1', cores, residentBytes: 1 }],
});

test('a host with a malformed sample is incompatible from then on, with the place, and no reader gets the sample', async (t) => {
  const { host: made, certificate } = await fleet(t);
  const { api } = await made('a');
  const info = { ...(await api.host()), name: 'z' };
  const credentials = await certificate('control', 'controller');
  const lies: [unknown, RegExp][] = [
    [sample(-1), /guests.*0.*cores/],
    [sample(Number.NaN), /guests.*0.*cores/],
    [sample(2e6), /guests.*0.*cores/],
    [sample('many'), /guests.*0.*cores/],
    [sample(1, -0.5), /processor.*used/],
    [sample(1, 7), /processor.*used/],
  ];
  for (const [load, place] of lies) {
    const listener = serve(
      loose,
      {
        hello: () => ({ ...hello, name: 'z' }),
        host: () => info,
        guests: () => ({ guests: [] }),
        async *hostEvents() {
          yield { id: '1', type: 'ready' };
          yield { id: '1', type: 'load', load: sample(1) };
          yield { id: '1', type: 'load', load };
        },
      },
      { name: 'z', log: silentLog },
    );
    const listening = await listenTls(
      listener,
      { address: '127.0.0.1:0' },
      await certificate('z', 'agent'),
      { log: silentLog },
    );
    const lost = Promise.withResolvers<Parameters<FollowerListener['lost']>>();
    const heard: string[] = [];
    const follower = new Follower(
      'z',
      () => ({ address: listening.address, addresses: [] }),
      {
        credentials,
        clock: systemClock,
        knock: async () => ({ what: 'answer', said: '' }),
        turn: (work) => work(),
      },
      {
        row: { state: 'new' },
        all() {},
        info() {},
        event: ({ type }) => heard.push(type),
        exceeds() {},
        lost: (...said) => lost.resolve(said),
      },
    );
    const [state, reason] = await lost.promise;
    await follower.end();
    await listening.close();
    assert.equal(state, 'incompatible', reason);
    assert.match(reason, place);
    assert.deepEqual(heard, ['load']);
  }
});
