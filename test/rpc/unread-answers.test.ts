import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { godwitError } from '../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../src/rpc/limits.ts';
import type { Credentials } from '../../src/rpc/tls.ts';
import { authority, calling, serving } from './test-contract.ts';
import { dialTls } from './sockets.ts';
import { post, readAnswer } from './wire.ts';
import { untilSo } from '../until.ts';

const params = { name: 'x' };
const body = { text: 't' };

/** A connection with requests on it whose answers nobody reads. */
async function pester(
  t: TestContext,
  address: string,
  credentials: Credentials,
  bytes: string,
): Promise<void> {
  (await dialTls(t, address, credentials)).write(bytes);
}

/** A server whose `say` and `repeat` never end for whoever is called greedy, and how many of them run. */
async function besieged(t: TestContext) {
  const { issue } = await authority(t);
  const under = { requests: 0, streams: 0 };
  const more = Promise.withResolvers<void>();
  t.after(() => more.resolve());
  const { address } = await serving(t, await issue('b', 'agent'), {
    handlers: {
      say: async ({ body: { text }, caller }) => {
        if (caller.name !== 'greedy') return { said: text, by: caller.name };
        under.requests += 1;
        await more.promise;
        return { said: text, by: caller.name };
      },
      async *repeat({ caller, signal }) {
        if (caller.name === 'greedy') under.streams += 1;
        yield { said: 'x', by: caller.name };
        while (caller.name === 'greedy' && !signal.aborted) {
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        }
      },
    },
  });
  return { issue, address, under };
}

test('a greedy peer with hundreds of requests keeps no other peer from an answer', async (t) => {
  const { issue, address, under } = await besieged(t);
  const greedy = await issue('greedy', 'agent');
  const { requests } = DEFAULT_LIMITS.shares.agent;
  // More than any bound of the whole server, sent ahead on as many connections as it takes.
  const flood = post('/say/x', '{"text":"t"}').repeat(8);
  for (let count = 0; count < 70; count += 1) await pester(t, address, greedy, flood);
  await untilSo(() => under.requests === requests.each);
  for (const [name, role] of [
    ['a', 'agent'],
    ['ann', 'operator'],
    ['vic', 'viewer'],
  ] as const) {
    const { api } = calling(t, address, await issue(name, role));
    assert.deepEqual(await api.say({ params, body }), { said: 't', by: name });
    assert.equal((await Array.fromAsync(api.repeat({ params, body }))).length, 1);
  }
  assert.equal(under.requests, requests.each);
});

test('a client at its limit of streams still gets answers, and others their streams', async (t) => {
  const { issue, address, under } = await besieged(t);
  const greedy = await issue('greedy', 'viewer');
  const { streams } = DEFAULT_LIMITS.shares.viewer;
  const watch = post('/repeat/x', '{"text":"t"}');
  for (let count = 0; count < streams.each; count += 1) await pester(t, address, greedy, watch);
  await untilSo(() => under.streams === streams.each);
  const one = calling(t, address, greedy);
  await assert.rejects(Array.fromAsync(one.api.repeat({ params, body })), {
    code: 'GODWIT_OVERLOADED',
    message: `greedy (viewer), in streams at once, is at its limit of ${streams.each}`,
  });
  assert.equal((await one.api.hello()).name, 'b');
  for (const role of ['viewer', 'operator', 'agent'] as const) {
    const { api } = calling(t, address, await issue('other', role));
    assert.equal((await Array.fromAsync(api.repeat({ params, body }))).length, 1);
  }
});

test('a client refused during a large body can read the refusal, and keeps its connection', async (t) => {
  const { issue } = await authority(t);
  const refused = Promise.withResolvers<void>();
  const { address } = await serving(t, await issue('b', 'agent'), {
    authorise: () => {
      refused.resolve();
      throw godwitError('GODWIT_OVERLOADED', { what: 'b', limit: 0 });
    },
  });
  const socket = await dialTls(t, address, await issue('ann', 'operator'));
  const bytes = post('/say/x', JSON.stringify({ text: 't'.repeat(200_000) }));
  socket.pause().write(bytes.slice(0, 1000));
  await refused.promise;
  // A server that closes now answers the rest with a reset.
  await new Promise((sent) => void socket.write(bytes.slice(1000), sent));
  const answer = await readAnswer(socket);
  assert.equal(answer.status, 429);
  assert.doesNotMatch(answer.text, /connection: close/i);
});
