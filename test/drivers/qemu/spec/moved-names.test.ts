import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  nextName,
  rootOfName,
  standsInFor,
} from '../../../../src/drivers/qemu/spec/moved-names.ts';
import { nodeName } from '../../../../src/protocol/disk.ts';

const given = fc.string({ minLength: 1, maxLength: 31 });

describe('the name of a replacing node', () => {
  test('the name shows the original node after any number of moves, and is valid for QEMU', () => {
    fc.assert(
      fc.property(given, fc.integer({ min: 1, max: 20 }), (first, moves) => {
        let name = first;
        for (let move = 0; move < moves; move += 1) {
          const next = nextName(name, new Set([name]));
          assert.notEqual(next, name);
          assert.ok(nodeName.safeParse(next).success);
          assert.ok(standsInFor(next, first));
          assert.equal(rootOfName(next), rootOfName(first));
          name = next;
        }
      }),
    );
  });

  test("the name is not taken for another node's", () => {
    assert.equal(standsInFor(nextName('disk0', new Set()), 'disk1'), false);
    assert.equal(standsInFor('disk0', 'disk0'), false);
    assert.equal(standsInFor('disk1', 'disk0'), false);
  });

  test('the name does not exist yet', () => {
    const first = nextName('disk0', new Set());
    assert.notEqual(nextName('disk0', new Set([first])), first);
    const all = Array.from({ length: 10 }, (_, at) => first.replace('gwm0', `gwm${at}`));
    assert.throws(() => nextName('disk0', new Set(all)), RangeError);
  });
});
