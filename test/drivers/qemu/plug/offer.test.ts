import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { offeredDevices } from '../../../../src/drivers/qemu/plug/offer.ts';

const takes = (devices: unknown) => offeredDevices.safeParse(devices).success;

describe('devices offered to guests', () => {
  test('an offered device has a name that can be an id, and the properties that QEMU accepts', () => {
    assert.ok(takes({}));
    assert.ok(takes({ gpu0: { driver: 'vfio-pci', host: '0000:01:00.0', multifunction: true } }));
    assert.ok(takes({ dongle: { driver: 'usb-host', vendorid: 0x10_50, productid: 0x04_07 } }));
  });

  test('an offered device has no separate id, no further objects to create, and no lists', () => {
    assert.ok(!takes({ gpu0: { driver: 'vfio-pci', id: 'other' } }));
    assert.ok(!takes({ disk: { driver: 'usb-storage', drive: 'd0' } }));
    assert.ok(!takes({ gpu0: { driver: 'vfio-pci', host: ['0000:01:00.0'] } }));
    assert.ok(!takes({ gpu0: { host: '0000:01:00.0' } }));
    assert.ok(!takes({ '/dev/vfio/1': { driver: 'vfio-pci' } }));
    assert.ok(
      !takes(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`d${n}`, { driver: 'x' }]))),
    );
  });
});
