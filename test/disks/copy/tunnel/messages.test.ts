import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BadTunnelMessage,
  MAX_DATA,
  readMessage,
  writeMessage,
  type Message,
} from '../../../../src/disks/copy/tunnel/messages.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.constantFrom<Message>({ kind: 'open' }, { kind: 'end' }, { kind: 'closed' }),
  fc.uint8Array({ minLength: 1 }).map((bytes) => ({ kind: 'data' as const, bytes })),
  fc.tuple(u32, u32).map(([taken, room]) => ({ kind: 'room' as const, taken, room })),
);

test('a message is read as it was written', () => {
  fc.assert(
    fc.property(message, (each) => {
      const read = readMessage(writeMessage(each));
      const plain = read.kind === 'data' ? { ...read, bytes: Uint8Array.from(read.bytes) } : read;
      assert.deepEqual(plain, each);
    }),
  );
});

test('any bytes are a message or are refused', () => {
  const kind = fc.integer({ min: 0, max: 7 });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.tuple(kind, fc.uint8Array({ maxLength: 12 })).map(([first, rest]) => [first, ...rest]),
  );
  fc.assert(
    fc.property(bytes, (each) => {
      const given = Uint8Array.from(each);
      try {
        assert.deepEqual(Buffer.from(writeMessage(readMessage(given))), Buffer.from(given));
      } catch (error) {
        assert.ok(error instanceof BadTunnelMessage, String(error));
      }
    }),
    { numRuns: Number(process.env['GODWIT_FUZZ_RUNS'] ?? 5000) },
  );
});

test('no message carries more of a connection than agreed', () => {
  const most = writeMessage({ kind: 'data', bytes: new Uint8Array(MAX_DATA) });
  assert.equal(readMessage(most).kind, 'data');
  const more = writeMessage({ kind: 'data', bytes: new Uint8Array(MAX_DATA + 1) });
  assert.throws(() => readMessage(more), BadTunnelMessage);
});
