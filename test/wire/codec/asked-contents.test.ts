import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PAGE_BYTES } from '../../../src/wire/codec/item.ts';
import { missingFrame, writeFrame } from '../../../src/wire/codec/frame.ts';
import { pageAt, referring } from './referring.ts';
import { SMALL, pageOf } from './support.ts';

/** Contents that a decoder asks for: those that went as references, each once. */

describe('a hostile decoder', () => {
  test('a decoder that asks for contents that were sent in full, or asks twice, is refused', async () => {
    for (const asked of [[[3]], [[1, 1]], [[1], [2, 1]]]) {
      const { encode, sent } = await referring(2);
      await encode.add([pageAt(2, 50)]);
      await encode.flush();
      sent.length = 0;
      const answers = asked.map((numbers, at) => writeFrame(missingFrame(at, numbers)));
      const last = answers.pop() ?? Buffer.alloc(0);
      for (const each of answers) await encode.answer(each);
      await assert.rejects(encode.answer(last), /is not to be had/);
      assert.equal(sent.length, answers.length);
    }
  });

  test('a decoder that reads nothing gets no copy of requested contents, and no further answer counts', async (t) => {
    const count = 200;
    const joint = await referring(count);
    const looks = t.mock.method(joint.encode.encoder, 'content');
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    joint.wait = held;
    joint.sent.length = 0;
    const numbers = Array.from({ length: count }, (_, at) => at + 1);
    let isTaken = false;
    const answering = joint.encode
      .answer(writeFrame(missingFrame(0, numbers)))
      .then(() => (isTaken = true));
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    assert.deepEqual([looks.mock.callCount(), isTaken], [1, false]);
    release();
    await answering;
    await joint.encode.flush();
    const pages = joint.sent.map((frame) => frame.subarray(-PAGE_BYTES));
    assert.deepEqual(
      pages,
      numbers.map((number) => pageOf(number)),
    );
  });

  test('a decoder that asks late gets contents that have left the window meanwhile', async () => {
    const joint = await referring(4, { ...SMALL, windowPages: 5 });
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    joint.wait = held;
    joint.sent.length = 0;
    await joint.encode.add([pageAt(10, 90)]);
    await joint.encode.push();
    const answering = joint.encode.answer(writeFrame(missingFrame(0, [1, 2])));
    for (let at = 11; at < 17; at += 1) {
      await joint.encode.add([pageAt(at, at + 100)]);
    }
    release();
    await answering;
    await joint.encode.flush();
    const contents = joint.sent.filter((frame) => frame[3] === 2);
    assert.deepEqual(
      contents.map((frame) => frame.subarray(-PAGE_BYTES)),
      [pageOf(1), pageOf(2)],
    );
  });
});
