import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { markElement, parseMark, type Mark } from '../../../src/drivers/libvirt/mark.ts';

const mark: fc.Arbitrary<Mark> = fc.record({
  id: fc.stringMatching(/^m-[0-9a-z]{8,12}$/),
  state: fc.constantFrom('sent', 'failed', 'cancelled'),
  reason: fc.string({ unit: 'binary', maxLength: 300 }),
  autostart: fc.constantFrom('yes', 'no'),
  persistent: fc.constantFrom('yes', 'no'),
  defined: fc.constantFrom('yes', 'no'),
  second: fc.constantFrom(undefined, 'ran', 'waited'),
});

describe('a mark', () => {
  test("a mark comes back as it was written, whatever libvirt's text was", () => {
    fc.assert(
      fc.property(mark, (written) => {
        const read = parseMark(markElement(written));
        const plain = written.reason.toWellFormed().replaceAll(/[\p{Cc}\uFFFE\uFFFF]/gu, ' ');
        assert.equal(read?.reason.trim(), plain.trim());
        assert.deepEqual({ second: undefined, ...read, reason: '' }, { ...written, reason: '' });
      }),
    );
  });

  test('a text of another program is not a mark', () => {
    for (const text of [
      '',
      '<migration/>',
      '<x>',
      'nothing',
      '<migration id="m-1" state="sent"/>',
    ]) {
      assert.equal(parseMark(text), undefined, text);
    }
    assert.equal(parseMark(undefined), undefined);
    fc.assert(fc.property(fc.string(), (text) => parseMark(text) === undefined));
  });
});
