import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compressionChecks } from '../../../src/drivers/libvirt/stream-check.ts';
import { ORDER } from './support/order.ts';

const OLD = '9.0.0';
const NEW = '11.3.0';

function found(
  order: Partial<Parameters<typeof compressionChecks>[0]['order']>,
  source: string,
  destination: string,
): string[] {
  const asked = { order: { ...ORDER, ...order }, versions: { source, destination } };
  return compressionChecks(asked).map(
    ({ side, verdict, error }) => `${side} ${verdict} ${error?.message ?? ''}`,
  );
}

test('zstd needs a libvirt on both hosts that supports it, and the one that does not is named', () => {
  const zstd = { compress: 'zstd' } as const;
  assert.match(found(zstd, NEW, '9.4.0').join(), /^both pass/);
  assert.match(found(zstd, OLD, NEW).join(), /^source refuse .*libvirt 9\.0\.0 of a/);
  assert.match(found(zstd, NEW, OLD).join(), /^destination refuse .*libvirt 9\.0\.0 of b/);
  assert.equal(found(zstd, '9.3.0', OLD).length, 2);
});

test('XBZRLE is accepted on several streams if both libvirts are old enough for that', () => {
  const several = { compress: 'xbzrle', streams: 4 } as const;
  assert.match(found(several, OLD, OLD).join(), /^both pass/);
  assert.match(found(several, OLD, NEW).join(), /^destination refuse .*XBZRLE in one stream alone/);
  assert.match(found({ compress: 'xbzrle' }, OLD, NEW).join(), /^both pass/);
});

test('memory that is not compressed is not judged', () => {
  assert.deepEqual(found({ streams: 4 }, OLD, NEW), []);
});

test('the refusal names the version that helps', () => {
  const order = { ...ORDER, compress: 'zstd' } as const;
  const [refused] = compressionChecks({ order, versions: { source: NEW, destination: OLD } });
  assert.match(refused?.error?.hint ?? '', /libvirt 9\.4 there/);
});
