import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { knownAs } from '../../src/drivers/known-as.ts';
import { guestName } from '../../src/protocol/names.ts';

describe('names of guests', () => {
  test("a guest's name is the name by which hosts know it, if possible", () => {
    assert.equal(knownAs('web-1.example_a'), 'web-1.example_a');
  });

  test('a name with other letters becomes one that still shows it, and a hash', () => {
    assert.match(knownAs('Büro Server, 1/a'), /^Buro-Server-1-a-[0-9a-f]{8}$/);
    assert.match(knownAs('東京'), /^guest-[0-9a-f]{8}$/);
    assert.match(knownAs('x'.repeat(200)), /^x{52}-[0-9a-f]{8}$/);
  });

  test('every name becomes a valid one for a host, and different names stay different', () => {
    const name = fc.oneof(fc.string(), fc.string({ unit: 'grapheme', maxLength: 300 }));
    fc.assert(
      fc.property(name, name, (one, two) => {
        assert.ok(guestName.safeParse(knownAs(one)).success, knownAs(one));
        if (one !== two) assert.notEqual(knownAs(one), knownAs(two));
      }),
    );
  });
});
