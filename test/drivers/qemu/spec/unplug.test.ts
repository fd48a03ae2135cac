import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { withoutDevices, type PlugFacts } from '../../../../src/drivers/qemu/spec/unplug.ts';
import { commandLine, factsOf } from './facts.ts';

const TYPES = new Map([
  ['host', 'str'],
  ['rombar', 'uint32'],
  ['x-no-mmap', 'bool'],
  ['display', 'OnOffAuto'],
]);
const CAN: PlugFacts = { canUnplug: true, types: TYPES };
const GPU =
  '-device vfio-pci,host=0000:01:00.0,id=gpu0,bus=rp0,addr=00.0,rombar=0,x-no-mmap=on,display=off';
const BASE = '-M q35 -device pcie-root-port,id=rp0,bus=pcie.0,addr=02.0';

function unplugged(text: string, device: string, about: PlugFacts = CAN) {
  const all = factsOf(commandLine(text));
  const devices = all.devices.map((each) =>
    each.id === 'gpu0'
      ? { ...each, busPath: '/machine/peripheral/rp0/rp0' }
      : { ...each, busPath: '/machine/q35/pcihost/pcie.0' },
  );
  const ramBlocks = [
    { name: 'pc.ram', bytes: 1024 },
    { name: '0000:00:02.0:00.0/vfio-pci.rom', bytes: 2048 },
    { name: '0000:00:02.0/other.rom', bytes: 2048 },
  ];
  const facts = { ...all, devices, ramBlocks, blockedReasons: ['VFIO does not migrate'] };
  return withoutDevices(facts, [device], new Map([[device, about]]));
}

describe('a guest without an unplugged device', () => {
  test('a guest can move if the unplugged device was the only obstacle', () => {
    const { facts, findings } = unplugged(`${BASE} ${GPU}`, 'gpu0');
    const { spec, findings: left } = describeGuest(facts);
    assert.deepEqual(
      left.filter(({ kind }) => kind !== 'changed'),
      [],
    );
    assert.deepEqual(
      spec.devices.map(({ id }) => id),
      ['rp0'],
    );
    // Its ROM is no memory of the destination's, and what QEMU says of it now is asked again then.
    assert.deepEqual(
      facts.ramBlocks.map(({ name }) => name),
      ['pc.ram', '0000:00:02.0/other.rom'],
    );
    assert.deepEqual(facts.blockedReasons, []);
    assert.deepEqual(
      findings.map(({ kind, device }) => [kind, device]),
      [['changed', 'gpu0']],
    );
    assert.match(findings[0]?.reason ?? '', /runs without it there/);
  });

  test("a guest gets the device back as it was, each value with QEMU's type", () => {
    assert.deepEqual(unplugged(`${BASE} ${GPU}`, 'gpu0').unplugged, [
      {
        device: 'gpu0',
        again: {
          driver: 'vfio-pci',
          id: 'gpu0',
          host: '0000:01:00.0',
          bus: 'rp0',
          addr: '00.0',
          rombar: 0,
          'x-no-mmap': true,
          display: 'off',
        },
      },
    ]);
  });

  const refused: readonly [what: string, line: string, device: string, about: PlugFacts, RegExp][] =
    [
      ['that it does not have', BASE, 'gpu0', CAN, /no device with that id/],
      [
        'whose back-end would stay',
        '-netdev tap,id=n0,ifname=tap0 -device virtio-net-pci,id=nic0,netdev=n0',
        'nic0',
        CAN,
        /has a `netdev` \(n0\)/,
      ],
      ['on which another one is', `${BASE} ${GPU}`, 'rp0', CAN, /gpu0 is on its bus/],
      [
        'on a bus that lets nothing be unplugged',
        '-device virtio-rng-pci,id=r0,bus=pcie.0',
        'r0',
        { ...CAN, canUnplug: false },
        /nothing be unplugged from its bus \(pcie\.0\)/,
      ],
    ];
  for (const [what, line, device, about, reason] of refused) {
    test(`a guest is refused by name for one ${what}`, () => {
      const { facts, unplugged: all, findings } = unplugged(line, device, about);
      assert.deepEqual(all, []);
      assert.deepEqual(
        findings.map((each) => [each.kind, each.device]),
        [['unmovable', device]],
      );
      assert.match(findings[0]?.reason ?? '', reason);
      // Nothing else of what stands in the way is passed over for it.
      assert.deepEqual(facts.blockedReasons, ['VFIO does not migrate']);
    });
  }
});
