import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Framer } from '../../../src/wire/stream/framer.ts';
import { Collector } from './collector.ts';

/** Items of one byte of length and as many bytes; 255: the next 100 bytes are passed through. */
class Lengths extends Framer {
  protected step(bytes: Uint8Array, at: number, end: number): number {
    const length = bytes[at] ?? 0;
    if (length === 255) {
      this.pass('unknown', 100);
      this.span('command', bytes, at, at + 1);
      return 1;
    }
    if (end - at < 1 + length) return -1 - length;
    this.span('device', bytes, at, at + 1 + length);
    return 1 + length;
  }
}

describe('framing', () => {
  test("a framer shows an item in the caller's chunk if it is there in one piece", () => {
    const seen: Uint8Array[] = [];
    const sink = Object.assign(new Collector(), {
      span: (_kind: string, bytes: Uint8Array) => void seen.push(bytes),
    });
    const framer = new Lengths(sink);
    const chunk = Buffer.from([2, 0, 0, 3, 0]);
    framer.push(chunk);
    framer.push(Buffer.from([0, 0]));
    assert.equal(seen.length, 2);
    assert.equal(seen[0], chunk);
    assert.notEqual(seen[1]?.buffer, chunk.buffer);
  });

  test('a framer buffers only an incomplete item, and joins it with no more than it needs', () => {
    const collector = new Collector();
    const framer = new Lengths(collector);
    framer.push(Buffer.from([3, 1]));
    assert.equal(framer.heldBytes, 2);
    framer.push(Buffer.from([1, 1, 1, 7]));
    assert.deepEqual(collector.items, [
      { kind: 'device', bytes: Buffer.from([3, 1, 1, 1]) },
      { kind: 'device', bytes: Buffer.from([1, 7]) },
    ]);
    assert.equal(framer.heldBytes, 0);
  });

  test('a framer passes long data through as it arrives', () => {
    const collector = new Collector();
    const framer = new Lengths(collector);
    framer.push(Buffer.from([255, 9, 9]));
    framer.push(Buffer.alloc(60, 9));
    assert.equal(framer.heldBytes, 0);
    framer.push(Buffer.concat([Buffer.alloc(38, 9), Buffer.from([0])]));
    assert.deepEqual(collector.kinds(), ['command', 'unknown', 'device']);
  });

  test('a framer delivers waiting data when it is flushed, once, and continues after it', () => {
    const collector = new Collector();
    const framer = new Lengths(collector);
    framer.push(Buffer.from([4, 1]));
    framer.flush();
    framer.flush();
    framer.push(Buffer.from([2]));
    framer.flush();
    framer.push(Buffer.from([3, 4, 1, 5]));
    assert.deepEqual(collector.merged(), [
      { kind: 'torn', bytes: Buffer.from([4, 1, 2, 3, 4]) },
      { kind: 'device', bytes: Buffer.from([1, 5]) },
    ]);
  });
});
