import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { z } from 'zod';
import type { Clock } from '../../../src/clock.ts';
import { Follower } from '../../../src/controller/inventory/follower.ts';
import { EVENT_READS } from '../../../src/controller/inventory/read-budget.ts';
import { silentLog } from '../../../src/log.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { listenTls } from '../../../src/rpc/listen.ts';
import { serve } from '../../../src/rpc/server.ts';
import { fleet } from '../../agent/samples.ts';
import { hello } from '../../rpc/test-contract.ts';

const { hello: greeting, host, guests, hostEvents } = agentContract;
const loose = {
  hello: greeting,
  host,
  guests,
  hostEvents: { ...hostEvents, response: z.record(z.string(), z.unknown()) },
};

/** Time passes by sleeping alone. */
function sleepingClock(): Clock {
  let nowMs = 0;
  return {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) => {
      await setImmediate();
      signal?.throwIfAborted();
      nowMs += ms;
    },
  };
}

const EVENT_BYTES = 64 * 1024;
/** On their way, in buffers of two processes. */
const UNDER_WAY_BYTES = 4 * 1024 ** 2;

test('a host that sends events without end is read at its allowed rate, and is marked', async (t) => {
  const { host: made, certificate } = await fleet(t);
  const { api } = await made('a');
  const info = { ...(await api.host()), name: 'z' };
  const listener = serve(
    loose,
    {
      hello: () => ({ ...hello, name: 'z' }),
      host: () => info,
      guests: () => ({ guests: [] }),
      async *hostEvents() {
        // No follower asks for this part of it, and each of them reads it.
        const junk = 'x'.repeat(EVENT_BYTES);
        for (;;) yield { id: '1', type: 'ready', junk };
      },
    },
    { name: 'z', log: silentLog },
  );
  const credentials = await certificate('z', 'agent');
  const listening = await listenTls(listener, { address: '127.0.0.1:0' }, credentials, {
    log: silentLog,
  });
  t.after(() => listening.close());
  const clock = sleepingClock();
  const enough = Promise.withResolvers<void>();
  let bytes = 0;
  const marks: boolean[] = [];
  const follower = new Follower(
    'z',
    () => ({ address: listening.address, addresses: [] }),
    {
      credentials: await certificate('control', 'controller'),
      clock,
      knock: async () => ({ what: 'answer', said: '' }),
      turn: (work) => work(),
    },
    {
      row: { state: 'new' },
      all() {},
      info() {},
      event: () => {
        bytes += EVENT_BYTES;
        const mostBytes =
          EVENT_READS.burstBytes + (clock.monotonicMs() / 1000) * EVENT_READS.bytesPerS;
        if (bytes > mostBytes + UNDER_WAY_BYTES) enough.reject(new Error(`${bytes} bytes`));
        if (bytes > EVENT_READS.burstBytes + 4 * UNDER_WAY_BYTES) enough.resolve();
      },
      exceeds: (isExceeded) => {
        if (isExceeded !== marks.at(-1)) marks.push(isExceeded);
      },
      lost: (_state, reason) => enough.reject(new Error(reason)),
    },
  );
  try {
    await enough.promise;
  } finally {
    await follower.end();
  }
  assert.deepEqual(marks, [false, true]);
});
