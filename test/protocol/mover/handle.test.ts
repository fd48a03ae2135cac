import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { guestHandle, launch } from '../../../src/protocol/mover/handle.ts';

const plain = fc.dictionary(
  fc.string().filter((key) => key !== '__proto__'),
  fc.jsonValue(),
  { maxKeys: 5 },
);

describe('driver data in journals', () => {
  test("a handle keeps its driver's data in addition to the names", () => {
    fc.assert(
      fc.property(plain, (rest) => {
        const handle = { ...rest, driver: 'any', name: 'web1' };
        assert.deepEqual(guestHandle.parse(JSON.parse(JSON.stringify(handle))), {
          ...JSON.parse(JSON.stringify(handle)),
        });
      }),
    );
  });

  test('a handle of the previous build is read completely', () => {
    const old = { driver: 'qemu', name: 'web1', pid: 7, startTicks: 9, monitor: '/q/qmp.sock' };
    assert.deepEqual(guestHandle.parse(old), old);
  });

  test('a handle names its driver and its guest, and is bounded', () => {
    for (const bad of [{}, { driver: 'a' }, { name: 'a' }, { driver: '', name: 'a' }, null, 'a']) {
      assert.equal(guestHandle.safeParse(bad).success, false);
    }
    const long = { driver: 'a', name: 'b', rest: 'x'.repeat(20_000) };
    assert.equal(guestHandle.safeParse(long).success, false);
  });

  test('a launch is stored completely, and is bounded', () => {
    fc.assert(
      fc.property(plain, (given) => {
        const text = JSON.stringify(given);
        assert.deepEqual(launch.parse(JSON.parse(text)), JSON.parse(text));
      }),
    );
    assert.equal(launch.safeParse({ rest: 'x'.repeat(3 * 1024 * 1024) }).success, false);
    assert.equal(launch.safeParse(['argv']).success, false);
  });
});
