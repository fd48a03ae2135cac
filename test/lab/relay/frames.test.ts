import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DelaySwitch, FrameReader } from '../../../src/lab/relay/frames.ts';
import { tapArgv } from '../../../src/lab/relay/start.ts';

function frame(destination: number, source: number, payload = 20): Buffer {
  const bytes = Buffer.alloc(4 + 14 + payload);
  bytes.writeUInt32BE(14 + payload);
  bytes[9] = destination;
  bytes[15] = source;
  return bytes;
}

const broadcast = (source: number): Buffer => frame(0, source).fill(0xff, 4, 10);

test('frames come out as they went in, wherever the stream is cut', () => {
  const payloads = fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(payloads, fc.array(fc.nat({ max: 100 }), { maxLength: 30 }), (sizes, cuts) => {
      const frames = sizes.map((size, index) => frame(1, index, size));
      const stream = Buffer.concat(frames);
      const reader = new FrameReader();
      const read: Buffer[] = [];
      let at = 0;
      for (const cut of [...cuts, stream.length]) {
        read.push(...reader.take(stream.subarray(at, at + cut)));
        at = Math.min(stream.length, at + cut);
      }
      assert.deepEqual(Buffer.concat(read), stream);
      assert.equal(read.length, frames.length);
    }),
  );
});

test('a length that no frame has is refused', () => {
  assert.throws(() => new FrameReader().take(Buffer.from([0xff, 0xff, 0xff, 0xff])), RangeError);
});

test('a frame waits for the delay and then leaves at its own port only', () => {
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
        gaps.map((_gap, index) => 18 + index),
      );
    }),
  );
});

test('what comes when it is full is dropped and counted', () => {
  const delays = new DelaySwitch(['a', 'b'], 10, 100);
  for (let count = 0; count < 4; count += 1) delays.accept('a', frame(9, 1), 0);
  assert.equal(delays.release(10).get('b')?.length, 2);
  assert.equal(delays.dropped, 2);
});

test('each host has a hub of its own between its tap and its stream', () => {
  const argv = tapArgv('qemu', 'relay', ['a', 'b']).join(' ');
  assert.match(argv, /ifname=mtap-b,.*hubid=1,netdev=tap-b .*addr\.path=relay\/b\.sock/);
});
