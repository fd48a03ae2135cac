import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { framingOf, sendLines } from '../../src/rpc/answer.ts';
import { LOOK_BYTES, SendQueues } from '../../src/rpc/send-queues.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n';
/** 127.0.0.1:443, of a reader at the same address and that port. */
const socketAt = (remotePort: number): Socket =>
  ({
    localAddress: '127.0.0.1',
    localPort: 443,
    remoteAddress: '127.0.0.1',
    remotePort,
  }) as unknown as Socket;
const hex = (value: number, digits: number): string =>
  value.toString(16).toUpperCase().padStart(digits, '0');
const row = (port: number, unsent: number): string =>
  `   0: 0100007F:01BB 0100007F:${hex(port, 4)} 01 ${hex(unsent, 8)}:00000000 01:00000014 00000000 0 0 1\n`;

test('a connection with a full kernel queue has no room until that is sent, and others have', async () => {
  let unsent = 600 * 1024;
  let looks = 0;
  const tables = async (): Promise<string[]> => {
    looks += 1;
    // The reader takes some between two looks.
    const table = HEAD + row(5000, unsent) + row(5001, 100);
    unsent -= 50 * 1024;
    return [table];
  };
  const queues = new SendQueues(tables, 1);
  const { signal } = new AbortController();
  await queues.roomFor(socketAt(5001))(signal);
  assert.equal(looks, 1);
  await queues.roomFor(socketAt(5000))(signal);
  assert.equal(looks, 3);
});

test('a check begins after its request, and requests during a check share the next one', async () => {
  let looks = 0;
  const gate = Promise.withResolvers<void>();
  const queues = new SendQueues(async () => {
    looks += 1;
    await gate.promise;
    return [HEAD];
  });
  const { signal } = new AbortController();
  const first = queues.roomFor(socketAt(1))(signal);
  await Promise.resolve();
  const rest = Array.from({ length: 100 }, (_, nth) => queues.roomFor(socketAt(nth))(signal));
  gate.resolve();
  await Promise.all([first, ...rest]);
  assert.equal(looks, 2);
});

test('a closed connection is not awaited, and a silent kernel delays nothing', async () => {
  const gone = new AbortController();
  const full = new SendQueues(async () => [HEAD + row(5000, 1 << 20)], 60_000);
  const waiting = full.roomFor(socketAt(5000))(gone.signal);
  gone.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  const mute = new SendQueues(() => Promise.reject(new Error('no such file')));
  await mute.roomFor(socketAt(5000))(new AbortController().signal);
});

test('a stream asks for room after each 128 KiB, and drops a reader that makes none', async () => {
  let [asked, written, destroyed] = [0, 0, false];
  const response = {
    headersSent: true,
    get destroyed() {
      return destroyed;
    },
    write: (text: string) => {
      written += text.length;
      return true;
    },
    destroy: () => (destroyed = true),
    once: () => {},
    off: () => {},
  } as unknown as ServerResponse;
  const events = async function* (): AsyncGenerator<{ id: string; text: string }> {
    for (let nth = 0; ; nth += 1) yield { id: `${nth}`, text: 'x'.repeat(1000) };
  };
  const room = async (signal: AbortSignal): Promise<void> => {
    asked += 1;
    if (asked < 4) return;
    await new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    );
  };
  const rules = { failed: () => assert.fail('nothing fails'), mayStill: () => {}, room };
  const limits = { stallMs: 1, heartbeatMs: 60_000 };
  await sendLines(response, events(), limits, rules, framingOf({ framing: 'events' }));
  assert.equal(asked, 4);
  assert.ok(destroyed);
  assert.ok(written >= 4 * LOOK_BYTES && written < 4 * LOOK_BYTES + 5000, `${written} bytes`);
});
