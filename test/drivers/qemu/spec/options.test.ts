import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  formatOption,
  parseBytes,
  parseJsonOption,
  parseOption,
  splitOption,
} from '../../../../src/drivers/qemu/spec/options.ts';

const key = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const value = fc.string({ unit: 'grapheme' });

describe('an option string', () => {
  test('an option is read as it was written, commas in values included', () => {
    fc.assert(
      fc.property(fc.dictionary(key, value), fc.option(key, { nil: undefined }), (props, head) => {
        const text = formatOption(head, Object.entries(props));
        const back = parseOption(text, true);
        assert.deepEqual(Object.fromEntries(back.props), { ...props });
        assert.equal(back.head ?? '', head ?? '');
      }),
    );
  });

  test('an option in JSON is an object, or undefined, whatever it holds', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.string().map((rest) => `{${rest}`),
    );
    fc.assert(
      fc.property(text, (each) => {
        const found = parseJsonOption(each);
        assert.ok(found === undefined || Object.getPrototypeOf(found) === Object.prototype);
      }),
    );
    assert.deepEqual(parseJsonOption('{"driver":"edu"}'), { driver: 'edu' });
    assert.deepEqual(
      ['{', '{"a":}', '[1]', 'a=b', ''].map(parseJsonOption),
      Array(5).fill(undefined),
    );
  });

  test('an option is divided only at single commas', () => {
    assert.deepEqual(splitOption('a,,b,c'), ['a,b', 'c']);
    assert.deepEqual(splitOption(''), ['']);
  });

  test('a bare word is a switch, in the old spelling too', () => {
    const { head, props } = parseOption('/run/q.sock,server,nowait', true);
    assert.equal(head, '/run/q.sock');
    assert.deepEqual(
      [...props],
      [
        ['server', 'on'],
        ['wait', 'off'],
      ],
    );
  });

  test('any option string is read without an exception', () => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), (text, implied) => {
        parseOption(text, implied);
      }),
    );
  });
});

test('sizes are bytes, whatever their suffix', () => {
  assert.equal(parseBytes('512', 1024 * 1024), 512 * 1024 * 1024);
  assert.equal(parseBytes('1.5G', 1), 1.5 * 1024 ** 3);
  assert.equal(parseBytes('268435456b', 1024), 268_435_456);
  assert.equal(parseBytes('much', 1), undefined);
});
