import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BadBackingMessage,
  readBackingAnswer,
  readBackingMessage,
  writeBackingAnswer,
  writeBackingMessage,
  type BackingAnswer,
  type BackingMessage,
} from '../../../src/disks/backing/messages.ts';
import { godwitError } from '../../../src/errors.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const runs = { numRuns: Number(process.env['GODWIT_FUZZ_RUNS'] ?? 3000) };

test('a message is read as it was written', () => {
  const message: fc.Arbitrary<BackingMessage> = fc.oneof(
    fc.constantFrom<BackingMessage>({ kind: 'end' }, { kind: 'stop' }),
    u32.map((attempt) => ({ kind: 'begin' as const, attempt, node: 'base-0.x' })),
    fc
      .tuple(fc.integer({ min: 0, max: 2 ** 47 }), fc.uint8Array({ minLength: 1 }))
      .map(([offset, bytes]) => ({ kind: 'data' as const, offset, bytes })),
  );
  fc.assert(
    fc.property(message, (each) => {
      const read = readBackingMessage(writeBackingMessage(each));
      const plain = read.kind === 'data' ? { ...read, bytes: Uint8Array.from(read.bytes) } : read;
      assert.deepEqual(plain, each);
    }),
  );
});

test('an answer is read as it was written', () => {
  const error = godwitError('GODWIT_INTERNAL', { what: 'x' }).toJSON();
  const answers: BackingAnswer[] = [
    { type: 'ready', attempt: 1, node: 'a' },
    { type: 'whole', attempt: 2, node: 'b' },
    { type: 'failed', attempt: 3, node: 'c', error },
  ];
  for (const answer of answers)
    assert.deepEqual(readBackingAnswer(writeBackingAnswer(answer)), answer);
});

test('any bytes are read or refused', () => {
  const kind = fc.integer({ min: 0, max: 6 });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.tuple(kind, fc.uint8Array({ maxLength: 20 })).map(([first, rest]) => [first, ...rest]),
    fc.json().map((text) => [...Buffer.from(text)]),
  );
  fc.assert(
    fc.property(bytes, (each) => {
      for (const read of [readBackingMessage, readBackingAnswer]) {
        try {
          read(Uint8Array.from(each));
        } catch (error) {
          assert.ok(error instanceof BadBackingMessage, String(error));
        }
      }
    }),
    runs,
  );
});
