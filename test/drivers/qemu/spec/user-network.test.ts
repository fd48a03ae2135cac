import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { nicName } from '../../../../src/drivers/qemu/spec/nic-names.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import {
  describeUserNetwork,
  forwardText,
  parseForwards,
  readForward,
  userNetdevText,
} from '../../../../src/drivers/qemu/spec/user-network.ts';
import { commandLine, factsOf } from './facts.ts';

const VALUE =
  'user,id=n0,net=10.9.0.0/24,restrict=on,dnssearch=a.example,dnssearch=b.example,hostfwd=tcp::5522-:22';

describe('a user network', () => {
  test('a user network is created again with its settings, and the end of its connections is reported', () => {
    const { netdev, findings } = describeUserNetwork('n0', VALUE, undefined);
    assert.ok(netdev);
    assert.equal(
      userNetdevText(netdev),
      'user,id=n0,net=10.9.0.0/24,restrict=on,dnssearch=a.example,dnssearch=b.example,hostfwd=tcp::5522-:22',
    );
    assert.deepEqual(
      findings.map(({ kind }) => kind),
      ['changed'],
    );
    const json = JSON.stringify({
      type: 'user',
      id: 'n0',
      net: '10.9.0.0/24',
      restrict: true,
      dnssearch: [{ str: 'a.example' }, { str: 'b.example' }],
      hostfwd: [{ str: 'tcp::5522-:22' }],
    });
    assert.deepEqual(describeUserNetwork('n0', json, undefined).netdev, {
      ...netdev,
      settings: { ...netdev.settings, restrict: 'on' },
    });
  });

  test('a user network has its present ports, except those on an address of its host', () => {
    const live = ['tcp:127.0.0.1:1-:2', 'udp:192.0.2.1:3-:4'].flatMap(
      (text) => readForward(text) ?? [],
    );
    const { netdev, findings } = describeUserNetwork('n0', VALUE, live);
    assert.deepEqual(netdev?.forwards?.map(forwardText), ['tcp:127.0.0.1:1-:2']);
    assert.match(findings.at(-1)?.reason ?? '', /192\.0\.2\.1/);
  });

  test('a user network is refused by the name of a host resource or of an unknown setting', () => {
    for (const key of ['tftp', 'smb', 'guestfwd', 'bootfile', 'x-new']) {
      const { findings } = describeUserNetwork('n0', `user,id=n0,${key}=/srv`, undefined);
      const refused = findings.filter(({ kind }) => kind === 'unmovable');
      assert.equal(refused.length, 1, key);
      assert.ok(refused[0]?.reason.includes(key));
    }
  });

  test("a user network's ports are read from QEMU's output", () => {
    const text = [
      'Hub -1 (n1):',
      '  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ',
      '  UDP[HOST_FORWARD]   8               *  5553       10.9.0.15    53     0     0',
      '  TCP[ESTABLISHED]   11       127.0.0.1  5522       10.0.2.15    22     0     0',
      'Hub -1 (#net051):',
      '  TCP[HOST_FORWARD]   9       127.0.0.1  5522       10.0.2.15    22     0     0',
    ].join('\r\n');
    assert.deepEqual(
      [...parseForwards(text)].map(([id, all]) => [id, all.map(forwardText)]),
      [
        ['n1', ['udp::5553-10.9.0.15:53']],
        ['#net051', ['tcp:127.0.0.1:5522-10.0.2.15:22']],
      ],
    );
  });

  test('any user network is read without a crash, and no value ends an option', () => {
    const key = fc.constantFrom('net', 'host', 'hostname', 'hostfwd', 'dnssearch', 'restrict', 'x');
    const part = fc
      .tuple(key, fc.string())
      .map(([name, held]) => `${name}=${held.replaceAll(',', ',,')}`);
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const { netdev } = describeUserNetwork('n0', ['user', ...parts].join(','), undefined);
        if (netdev !== undefined) assert.match(userNetdevText(netdev), /^user,id=n0[^\s]*$/);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => void parseForwards(text)));
  });
});

describe('-nic', () => {
  test('a -nic becomes a device and a backend at the destination, and no other NIC is created there', () => {
    const argv = commandLine('-nic user,model=e1000,net=10.8.0.0/24');
    const nic = {
      path: '/machine/unattached/device[20]',
      id: undefined,
      type: 'e1000',
      bus: 'pci.0',
      addr: '03.0',
      mac: '52:54:00:12:34:56',
      netdev: 'nic-net051',
      changed: { netdev: 'nic-net051' },
    };
    const network = [{ id: 'nic-net051', type: 'user' }];
    const { spec, findings } = describeGuest(factsOf(argv, { devices: [nic], network }));
    guestSpec.parse(spec);
    assert.deepEqual(
      findings.map(({ kind, device }) => [kind, device]),
      [['changed', 'nic-net051']],
    );
    assert.deepEqual(spec.netdevs, [
      { type: 'user', id: 'nic-net051', settings: { net: '10.8.0.0/24' } },
    ]);
    assert.deepEqual(spec.devices, [
      {
        driver: 'e1000',
        props: { netdev: 'nic-net051', bus: 'pci.0', addr: '03.0', mac: '52:54:00:12:34:56' },
      },
    ]);
    assert.deepEqual(
      spec.options.filter(({ name }) => name === 'nic'),
      [{ name: 'nic', value: 'none' }],
    );
  });

  test('a -nic has a backend with a valid name', () => {
    assert.equal(nicName('#net051'), 'nic-net051');
    assert.equal(nicName('n0'), 'n0');
  });
});
