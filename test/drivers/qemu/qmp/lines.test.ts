import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter } from '../../../../src/drivers/qemu/qmp/lines.ts';
import { parseMessage } from '../../../../src/drivers/qemu/qmp/messages.ts';
import { hasCode } from '../../../../src/errors.ts';

/** Cuts bytes at arbitrary places, as a socket does. */
const chunks = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  const edges = [0, ...at, bytes.length];
  return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
};

describe('a stream cut into lines', () => {
  test('the lines are the same wherever the stream was cut', () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/\s/g, '_'));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat()), (lines, cuts) => {
        const splitter = new LineSplitter();
        const bytes = Buffer.from(lines.map((each) => `${each}\n`).join(''));
        const got = chunks(bytes, cuts).flatMap((chunk) => splitter.push(chunk));
        assert.deepEqual(
          got,
          lines.filter((each) => each !== ''),
        );
      }),
    );
  });

  test('the buffer never exceeds the limit', () => {
    const splitter = new LineSplitter(10);
    assert.deepEqual(splitter.push(Buffer.from('123456789')), []);
    assert.throws(
      () => splitter.push(Buffer.from('abc')),
      (error) => hasCode(error, 'GODWIT_TOO_LARGE'),
    );
  });
});

describe('a message of the monitor', () => {
  test('a message is read, whatever QEMU has added to it', () => {
    assert.deepEqual(parseMessage('{"return": {}, "id": 3, "more": 1}'), {
      kind: 'success',
      id: 3,
      value: {},
    });
    const failure = parseMessage('{"id":4,"error":{"class":"GenericError","desc":"no"}}');
    assert.deepEqual(failure, { kind: 'failure', id: 4, reason: 'no', errorClass: 'GenericError' });
    assert.equal(parseMessage('{"event":"STOP"}')?.kind, 'event');
  });

  test('a malformed message is refused without an exception', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.anything().map((value) => `${JSON.stringify(value)}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const message = parseMessage(text);
        assert.ok(message === undefined || typeof message.kind === 'string');
      }),
    );
  });
});
