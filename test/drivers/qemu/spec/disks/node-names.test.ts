import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NodeNames } from '../../../../../src/drivers/qemu/spec/disks/node-names.ts';
import { nodeName } from '../../../../../src/protocol/disk.ts';

test('a block node keeps its valid name, and another one gets a unique name', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 20 }), (asked) => {
      const names = new NodeNames(['', 'disk-image']);
      const made: string[] = [];
      for (const [own, from] of asked) {
        const name = names.for(own, from, 'image');
        assert.ok(nodeName.safeParse(name).success);
        if (nodeName.safeParse(own).success) assert.equal(name, own);
        else {
          assert.ok(!made.includes(name) && name !== 'disk-image');
          made.push(name);
        }
      }
    }),
  );
});
