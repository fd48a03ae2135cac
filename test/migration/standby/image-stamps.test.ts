import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { changedImage } from '../../../src/migration/standby/image-stamps.ts';

const stamp = (bytes: number, writtenNs: string) => ({ bytes, writtenNs });
const base = { node: 'base', ...stamp(4096, '1700000000123456789') };
const against = (found: ReturnType<typeof stamp>): string | undefined =>
  changedImage([base], new Map([['base', found]]));

test('an image with another size or another time of its last write has changed', () => {
  assert.equal(against(stamp(4096, '1700000000123456789')), undefined);
  assert.equal(against(stamp(4097, '1700000000123456789')), 'base');
  assert.equal(against(stamp(4096, '1700000000123457789')), 'base');
  assert.equal(against(stamp(4096, '1700000001123456789')), 'base');
  // Set back by hand.
  assert.equal(against(stamp(4096, '1600000000123456789')), 'base');
});

test('a host with coarser timestamps reports no false change', () => {
  const ns = fc.bigInt({ min: 1n, max: 1n << 62n });
  fc.assert(
    fc.property(ns, fc.constantFrom(1n, 100n, 1000n, 1_000_000_000n), (time, step) => {
      const coarse = stamp(1, String(time - (time % step)));
      const image = { node: 'n', ...stamp(1, String(time)) };
      assert.equal(changedImage([image], new Map([['n', coarse]])), undefined);
      const later = stamp(1, String(time + 1_000_000_000n));
      assert.equal(changedImage([image], new Map([['n', later]])), 'n');
    }),
  );
});

test('an image that one of the hosts cannot read proves nothing', () => {
  assert.equal(changedImage([base], new Map()), undefined);
  assert.equal(changedImage([], new Map([['base', stamp(1, '1')]])), undefined);
});
