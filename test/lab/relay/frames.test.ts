import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DelaySwitch } from '../../../lab/relay/frames.ts';
import { relayArgv } from '../../../lab/relay/start.ts';

function frame(destination: number, source: number, payload = 20): Buffer {
  const bytes = Buffer.alloc(14 + payload);
  bytes[5] = destination;
  bytes[11] = source;
  return bytes;
}

const broadcast = (source: number): Buffer => frame(0, source).fill(0xff, 0, 6);

test('a frame waits for the delay and then leaves at its port only', () => {
  const delays = new DelaySwitch(['a', 'b', 'c'], 10, 1000);
  delays.accept('b', broadcast(2), 0);
  assert.equal(delays.release(9).size, 0);
  assert.deepEqual([...delays.release(10).keys()], ['a', 'c']);
  const sent = frame(2, 1);
  delays.accept('a', sent, 20);
  assert.equal(delays.nextDueMs, 30);
  assert.deepEqual([...delays.release(30)], [['b', [sent]]]);
  assert.equal(delays.nextDueMs, undefined);
});

test('frames of one port keep their order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 5 }), { maxLength: 50 }), (gaps) => {
      const delays = new DelaySwitch(['a', 'b'], 3, 1e9);
      const out: number[] = [];
      let nowMs = 0;
      for (const [index, gap] of gaps.entries()) {
        nowMs += gap;
        delays.accept('a', frame(9, 1, index), nowMs);
        for (const passed of delays.release(nowMs).get('b') ?? []) out.push(passed.length);
      }
      for (const passed of delays.release(nowMs + 3).get('b') ?? []) out.push(passed.length);
      assert.deepEqual(
        out,
        gaps.map((_gap, index) => 14 + index),
      );
    }),
  );
});

test('frames that arrive at a full relay are dropped and counted', () => {
  const delays = new DelaySwitch(['a', 'b'], 10, 100);
  for (let count = 0; count < 4; count += 1) delays.accept('a', frame(9, 1), 0);
  assert.equal(delays.release(10).get('b')?.length, 2);
  assert.equal(delays.dropped, 2);
});

test('the relay is given a descriptor for the tap of each host', () => {
  const argv = relayArgv(['a', 'b'], 'relay', 10);
  assert.deepEqual(argv.slice(3, 6), ['2', 'mtap-a', 'mtap-b']);
  assert.deepEqual(argv.slice(-2), ['relay', '10']);
});
