import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_UNPLUGGED, deviceId, readDevices } from '../../src/protocol/unplug.ts';

const id = fc.stringMatching(/^[A-Za-z][A-Za-z0-9._-]{0,20}$/);

describe('devices to unplug', () => {
  test('the devices to unplug are read from a label, each once', () => {
    fc.assert(
      fc.property(fc.uniqueArray(id, { minLength: 1, maxLength: MAX_UNPLUGGED }), (all) => {
        assert.deepEqual(readDevices(all.join(', ')), all);
        assert.equal(readDevices([...all, ...all].join(',')), undefined);
      }),
    );
  });

  test('the devices to unplug are none if a part is not an id', () => {
    for (const text of ['', '=', '0a', 'a=b', 'a b', '../x', '/dev/vfio/1', 'a,,b'])
      assert.equal(readDevices(text), undefined, text);
    const many = Array.from({ length: MAX_UNPLUGGED + 1 }, (_, at) => `d${at}`);
    assert.equal(readDevices(many.join(',')), undefined);
  });

  test('the devices to unplug are named by neither a path nor an option', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (deviceId.safeParse(text).success) assert.doesNotMatch(text, /[/,=\s\0]|^-|^\./);
      }),
    );
  });
});
