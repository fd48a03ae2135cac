import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { framingOf, sendLines } from '../../src/rpc/answer.ts';

/** Node's own: a stream that holds so much says that it is full. */
const FULL_BYTES = 16 * 1024;

/** A response whose reader takes nothing: all that is written stays. */
class Unread extends EventEmitter {
  destroyed = false;
  headersSent = false;
  writableFinished = false;
  heldBytes = 0;

  writeHead(): void {
    this.headersSent = true;
  }

  write(text: string): boolean {
    this.heldBytes += Buffer.byteLength(text);
    return this.heldBytes < FULL_BYTES;
  }

  end(): void {}

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

test('a reader that reads nothing holds no more than a full buffer and one event, and is dropped', async () => {
  const sizes = fc.array(fc.nat(100_000), { minLength: 400, maxLength: 400 });
  await fc.assert(
    fc.asyncProperty(sizes, async (all) => {
      let [asked, left] = [0, false];
      const events = async function* (): AsyncGenerator<{ id: string; text: string }> {
        try {
          for (const [nth, size] of all.entries()) {
            asked += 1;
            yield { id: `${nth}`, text: 'x'.repeat(size) };
          }
          // The rest of the day.
          await new Promise(() => {});
        } finally {
          left = true;
        }
      };
      const response = new Unread();
      const rules = { failed: () => assert.fail('nothing fails'), mayStill: () => {} };
      const limits = { stallMs: 1, heartbeatMs: 60_000 };
      await sendLines(
        response as unknown as ServerResponse,
        events(),
        limits,
        rules,
        framingOf({ framing: 'events' }),
      );
      const largest = Math.max(...all.slice(0, asked)) + 100;
      assert.ok(response.heldBytes <= FULL_BYTES + largest, `${response.heldBytes} bytes`);
      assert.ok(response.destroyed && left, 'its connection and its listener are gone');
    }),
    { numRuns: 30 },
  );
});
