import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { leastOf, lookAtPath, timed } from '../../../src/host/machine/path-look.ts';

const { signal } = new AbortController();

/** Questions that take so long, one after the other; the last one again and again. */
function questions(...takeMs: number[]) {
  const state = { nowMs: 0, asked: 0 };
  const question = async (): Promise<void> => {
    state.nowMs += takeMs[Math.min(state.asked, takeMs.length - 1)] ?? 0;
    state.asked += 1;
  };
  return { state, time: () => timed(question, signal, () => state.nowMs) };
}

test('a round trip is the shortest of three attempts on a short path', async () => {
  const { state, time } = questions(9, 1, 4);
  assert.deepEqual([await time(), state.asked], [{ roundTripMs: 1 }, 3]);
});

test('a path that looks long is tried more often, so that a busy host makes no short path look long', async () => {
  const { state, time } = questions(30, 25, 20, 40, 35, 2);
  assert.deepEqual([await time(), state.asked], [{ roundTripMs: 2 }, 6]);
});

test('a long path is tried no longer than a check has time for', async () => {
  const far = questions(160);
  assert.deepEqual([await far.time(), far.state.asked], [{ roundTripMs: 160 }, 3]);
  const near = questions(8);
  assert.deepEqual([await near.time(), near.state.asked], [{ roundTripMs: 8 }, 16]);
});

test('a question without an answer omits the round trip', async () => {
  const failing = async (): Promise<never> => Promise.reject(new Error('no such route'));
  assert.deepEqual(await timed(failing, signal), {});
});

test("the shortest round trip of the kernel's connections counts", () => {
  const line = (rtt: string): string => `\t cubic wscale:7,7 rtt:31.2/0.1 ${rtt} rcv_space:14480\n`;
  const said = `${line('minrtt:0.213')}${line('minrtt:12')}${line('')}`;
  assert.equal(leastOf(said), 0.213);
  assert.equal(leastOf(''), Infinity);
});

test('a round trip asks a kernel for a connection, and the agent behind it for nothing', async (t) => {
  const server = createServer((socket) => void socket.on('error', () => {})).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const never = async (): Promise<never> => assert.fail('the agent was asked');
  const { roundTripMs } = await lookAtPath(`127.0.0.1:${port}`, never, signal);
  assert.ok(roundTripMs !== undefined && roundTripMs > 0, String(roundTripMs));
});
