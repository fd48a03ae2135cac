import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  lostFeatures,
  virtioDeviceOf,
} from '../../../../src/drivers/qemu/same-machine/virtio-features.ts';

const features = (names: readonly string[], unknown?: number) => ({
  transports: ['VIRTIO_F_VERSION_1: Device compliant for v1 spec (legacy)'],
  'dev-features': names.map((name) => `${name}: some words of QEMU's`),
  ...(unknown === undefined ? {} : { 'unknown-dev-features': unknown }),
});
const device = (offers: readonly string[], taken: readonly string[], unknown?: number) => {
  const answer = { 'host-features': features(offers, unknown), 'guest-features': features(taken) };
  const found = virtioDeviceOf('net0', answer);
  assert.ok(found !== undefined);
  return found;
};
const CSUM = 'VIRTIO_NET_F_GUEST_CSUM';
const USO = 'VIRTIO_NET_F_GUEST_USO4';

describe('what drivers of virtio have taken', () => {
  test('is named where the other kernel does not offer it', () => {
    const here = device([CSUM, USO], [CSUM, USO]);
    assert.deepEqual(lostFeatures([here], [device([CSUM], [])]), [
      `net0: the guest uses ${USO}, which the destination does not offer`,
    ]);
    assert.deepEqual(lostFeatures([here], [device([CSUM, USO], [])]), []);
  });

  test('may be offered without being taken, and offered there without being offered here', () => {
    assert.deepEqual(lostFeatures([device([CSUM, USO], [CSUM])], [device([CSUM], [])]), []);
    assert.deepEqual(lostFeatures([device([CSUM], [CSUM])], [device([CSUM, USO], [])]), []);
  });

  test('is lost by no rule where the other QEMU has no names for all that it offers', () => {
    assert.deepEqual(lostFeatures([device([USO], [USO])], [device([CSUM], [], 4096)]), []);
  });

  test('of a device that is on one side alone says nothing: that is another difference', () => {
    assert.deepEqual(lostFeatures([device([CSUM], [CSUM])], []), []);
    assert.deepEqual(lostFeatures([], [device([CSUM], [])]), []);
  });

  test('is nothing where QEMU answers something else', () => {
    for (const answer of [undefined, {}, { 'host-features': features([]) }, 'features', [1]])
      assert.equal(virtioDeviceOf('net0', answer), undefined);
  });

  test('is lost exactly where it is taken and not offered, whatever the sets', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^VIRTIO_NET_F_[A-Z]{1,6}$/), { maxLength: 12 });
    fc.assert(
      fc.property(names, names, (taken, offers) => {
        const lost = taken.filter((each) => !offers.includes(each));
        const words = lostFeatures([device(taken, taken)], [device(offers, [])]);
        assert.equal(words.length, lost.length === 0 ? 0 : 1);
        for (const each of lost) assert.ok(words[0]?.includes(each));
      }),
    );
  });
});
