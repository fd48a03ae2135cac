import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  whyItStays,
  type PassthroughFacts,
} from '../../../../src/drivers/qemu/passthrough/judge.ts';
import { hostDevice, VF, VGPU } from './samples.ts';

const NAME = '0000:3b:00.2';

function facts(change: Partial<PassthroughFacts> = {}): PassthroughFacts {
  return { id: 'net1', host: hostDevice(), version: '10.0.2', blockedReasons: [], ...change };
}

describe('a passed-through device', () => {
  test('a device moves if QEMU has no objection to it, whatever it reports of others', () => {
    assert.equal(whyItStays(facts()), undefined);
    assert.equal(whyItStays(facts({ enableMigration: 'auto' })), undefined);
    assert.equal(whyItStays(facts({ host: hostDevice({ what: VGPU }) })), undefined);
    const other = '0000:3b:00.3: VFIO migration is not supported in kernel';
    assert.equal(whyItStays(facts({ blockedReasons: [other] })), undefined);
  });

  const stays: readonly (readonly [string, Partial<PassthroughFacts>, RegExp, RegExp])[] = [
    [
      'that the host does not show',
      { host: undefined },
      /^it is a device of this host, passed through$/,
      /--unplug net1/,
    ],
    ['of a QEMU before 8.1', { version: '8.0.5' }, /QEMU 8\.0\.5 cannot/, /QEMU 8\.1 or later/],
    [
      'that was given without migration',
      { enableMigration: 'off' },
      /enable-migration=off/,
      /Start the guest without it/,
    ],
    [
      'of plain vfio-pci',
      {
        host: hostDevice({ what: { ...VF, driver: 'vfio-pci' } }),
        blockedReasons: [`${NAME}: VFIO migration is not supported in kernel`],
      },
      /its driver vfio-pci cannot save its state/,
      /bind it to mlx5_vfio_pci/,
    ],
    [
      'whose writes nobody sees',
      { blockedReasons: [`${NAME}: VFIO device doesn't support device and IOMMU dirty tracking`] },
      /neither it nor the IOMMU says which memory/,
      /--unplug net1/,
    ],
    [
      'of a guest with an IOMMU',
      { blockedReasons: [`${NAME}: Migration is currently not supported with vIOMMU enabled`] },
      /an IOMMU of its own/,
      /without intel-iommu/,
    ],
    [
      'of several without peer-to-peer',
      {
        blockedReasons: [
          'Multiple VFIO devices migration is supported only if all of them support P2P migration',
        ],
      },
      /kept from one another/,
      /all but one/,
    ],
    [
      'of which QEMU says what nobody knows yet',
      { blockedReasons: [`${NAME}: the moon is full`] },
      /QEMU says: .*the moon is full/,
      /--unplug net1/,
    ],
    [
      'whose driver has no stop-copy',
      { host: hostDevice({ features: ['p2p'] }) },
      /cannot save its state/,
      /--mode cold --unplug net1/,
    ],
  ];
  for (const [title, change, reason, hint] of stays) {
    test(`a device stays, with its name and the remaining ways: one ${title}`, () => {
      const found = whyItStays(facts(change));
      assert.match(found?.reason ?? '', reason);
      assert.match(found?.hint ?? '', hint);
      if (change.host !== undefined) assert.match(found?.reason ?? '', /0000:3b:00\.2/);
    });
  }

  test('a device without an id cannot be unplugged, and the hint does not offer it', () => {
    const { hint } = whyItStays(facts({ id: undefined, host: undefined })) ?? {};
    assert.doesNotMatch(hint ?? '', /--unplug/);
    assert.match(hint ?? '', /has no id/);
  });
});

test('a further reason never lets a blocked device move, and each blocked device has a hint', () => {
  const reasons = fc.array(
    fc.oneof(
      fc.string(),
      fc.string().map((text) => `${NAME}: ${text}`),
      fc.constant('Multiple VFIO devices migration is supported only if'),
    ),
    { maxLength: 4 },
  );
  const version = fc
    .tuple(fc.integer({ min: 5, max: 12 }), fc.integer({ min: 0, max: 3 }))
    .map(([major, minor]) => `${major}.${minor}.0`);
  fc.assert(
    fc.property(reasons, reasons, version, fc.boolean(), (some, more, at, shows) => {
      const host = shows ? hostDevice() : undefined;
      const before = whyItStays(facts({ host, version: at, blockedReasons: some }));
      const after = whyItStays(facts({ host, version: at, blockedReasons: [...some, ...more] }));
      if (before !== undefined) assert.notEqual(after, undefined);
      if (more.some((each) => each.startsWith(`${NAME}: `))) assert.notEqual(after, undefined);
      if (after !== undefined) assert.match(after.hint, /--unplug net1/);
    }),
  );
});
