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

describe('negotiated virtio features', () => {
  test('a negotiated feature that the other kernel does not offer is named', () => {
    const here = device([CSUM, USO], [CSUM, USO]);
    assert.deepEqual(lostFeatures([here], [device([CSUM], [])]), [
      `net0: the guest uses ${USO}, which the destination does not offer`,
    ]);
    assert.deepEqual(lostFeatures([here], [device([CSUM, USO], [])]), []);
  });

  test('an offered feature need not be negotiated, and the destination may offer more', () => {
    assert.deepEqual(lostFeatures([device([CSUM, USO], [CSUM])], [device([CSUM], [])]), []);
    assert.deepEqual(lostFeatures([device([CSUM], [CSUM])], [device([CSUM, USO], [])]), []);
  });

  test('no feature is reported lost if the other QEMU has no names for everything that it offers', () => {
    assert.deepEqual(lostFeatures([device([USO], [USO])], [device([CSUM], [], 4096)]), []);
  });

  test('features of a device on one side alone are ignored: that is another difference', () => {
    assert.deepEqual(lostFeatures([device([CSUM], [CSUM])], []), []);
    assert.deepEqual(lostFeatures([], [device([CSUM], [])]), []);
  });

  test('a feature has one name even if QEMU versions spell it differently', () => {
    // QEMU 8.0 to 10.1 has the name of the other feature for this one.
    const offered = (words: readonly string[]) => ({ ...features([]), 'dev-features': words });
    const four = 'VIRTIO_NET_F_GUEST_USO4: Driver can receive USOv4';
    const old = 'VIRTIO_NET_F_GUEST_USO4: Driver can receive USOv6';
    const mended = 'VIRTIO_NET_F_GUEST_USO6: Driver can receive USOv6';
    const of = (words: readonly string[]) => {
      const answer = { 'host-features': offered(words), 'guest-features': offered(words) };
      return virtioDeviceOf('net0', answer) ?? assert.fail('it is not read');
    };
    assert.deepEqual(lostFeatures([of([four, mended])], [of([four, old])]), []);
    assert.deepEqual(lostFeatures([of([four, old])], [of([four, mended])]), []);
    assert.match(lostFeatures([of([four, old])], [of([four])])[0] ?? '', /uses .*_USO6, which/);
  });

  test('a feature of every PCI device can be lost even if QEMU has no name for it', () => {
    const here = device([CSUM], [CSUM], 2 ** 30);
    assert.equal(here.offersMore, false);
    assert.equal(lostFeatures([here], [device([], [], 2 ** 30)]).length, 1);
    assert.equal(device([], [], 2 ** 30 + 4096).offersMore, true);
  });

  test('features are ignored if QEMU answers something else', () => {
    for (const answer of [undefined, {}, { 'host-features': features([]) }, 'features', [1]])
      assert.equal(virtioDeviceOf('net0', answer), undefined);
  });

  test('a feature is lost exactly if it is negotiated and not offered, whatever the sets', () => {
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
