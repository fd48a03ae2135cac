import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  MAX_RECORD_BYTES,
  RecordReader,
  recordOf,
} from '../../../../src/disks/proof/nfs/records.ts';

describe('messages over a stream', () => {
  test('messages come out as they went in, however the stream was divided', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 });
    fc.assert(
      fc.property(
        messages,
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
        (sent, cuts) => {
          const stream = Buffer.concat(sent.map((each) => recordOf(each)));
          const reader = new RecordReader();
          const got: Buffer[] = [];
          let at = 0;
          for (let turn = 0; at < stream.length; turn += 1) {
            const next = at + (cuts[turn % cuts.length] ?? 1);
            got.push(...reader.push(stream.subarray(at, next)));
            at = next;
          }
          assert.deepEqual(
            got.map((each) => [...each]),
            sent.map((each) => [...each]),
          );
        },
      ),
    );
  });

  test('messages are assembled from their fragments', () => {
    const reader = new RecordReader();
    const first = Buffer.from([0, 0, 0, 2, 1, 2]);
    assert.deepEqual(reader.push(first), []);
    assert.deepEqual(reader.push(recordOf(Buffer.from([3]))), [Buffer.from([1, 2, 3])]);
  });

  test('messages have a bound, and so have their fragments', () => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(0x8000_0000 + MAX_RECORD_BYTES + 1);
    assert.throws(() => new RecordReader().push(head), /too long/);
    const empty = Buffer.alloc(4 * 65);
    assert.throws(() => new RecordReader().push(empty), /too long/);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        try {
          for (const message of new RecordReader().push(noise)) {
            assert.ok(message.length <= MAX_RECORD_BYTES);
          }
        } catch (error) {
          assert.match(String(error), /too long/);
        }
      }),
    );
  });
});
