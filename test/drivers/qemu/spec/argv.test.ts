import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { buildArgv, type Placement } from '../../../../src/drivers/qemu/spec/argv.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { type GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { factsOf } from './facts.ts';

const PLACE: Placement = {
  guest: 'web1',
  guestDir: '/guests/web1',
  logDir: '/logs/web1',
  images: new Map([['kernel', '/images/vmlinuz']]),
  romfiles: new Map(),
  disks: new Map(),
  ports: new Map([['n0', 'tap0']]),
  features: ['avx', 'sse2'],
  vhost: true,
  nodes: new Set([0]),
  pipes: false,
};

const id = fc.stringMatching(/^[a-z][a-z0-9]{1,6}$/);
const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((each) => !each.includes('\0'));
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const visible = text.filter((each) => !/\p{Cc}/u.test(each));
const props = fc.dictionary(fc.constantFrom('serial', 'model', 'ver'), visible, { maxKeys: 3 });
const backend = fc.oneof(
  fc.constant({ kind: 'null' } as const),
  fc.constant({ kind: 'pty' } as const),
  name.map((file) => ({ kind: 'file', name: `${file}.log` }) as const),
  name.map((file) => ({ kind: 'socket', name: `${file}.sock`, mux: false }) as const),
  name.map(
    (file) => ({ kind: 'socket', name: `${file}.s`, mux: true, log: `${file}.txt` }) as const,
  ),
);

/** Whatever the names, each file and each id appears once, as in a real guest. */
const spec: fc.Arbitrary<GuestSpec> = fc
  .record({
    devices: fc.uniqueArray(fc.tuple(id, props), { maxLength: 5, selector: ([each]) => each }),
    anonymous: fc.array(props, { maxLength: 3 }),
    chardevs: fc.uniqueArray(fc.tuple(id, backend), { maxLength: 3, selector: ([each]) => each }),
    append: text,
    string: text,
    slots: fc.integer({ min: 1, max: 8 }),
    serial: visible,
  })
  .map(({ devices, anonymous, chardevs, append, string, slots, serial }) => {
    const files = new Set<string>();
    const distinct = chardevs.filter(([, each]) => {
      if (!('name' in each)) return true;
      if (files.has(each.name)) return false;
      files.add(each.name);
      return true;
    });
    return {
      format: 1,
      arch: 'x86_64',
      machine: { type: 'pc-q35-7.2', props: { usb: 'off' } },
      accelerator: { name: 'tcg', props: { thread: 'multi' } },
      cpu: {
        model: 'max',
        identity: { family: 15 },
        features: ['avx', 'sse2'],
        words: [],
        switches: {},
      },
      memory: { bytes: 512 << 20, slots, maxBytes: 2 ** 33 },
      smp: { cpus: 1 },
      name: 'web1',
      options: [
        { name: 'nodefaults' },
        { name: 'smbios', value: `type=1,serial=${serial.replaceAll(/[,=]/g, '')}` },
      ],
      images: {},
      append,
      fwCfg: [{ name: 'opt/a', string }],
      objects: [{ type: 'iothread', id: 'io1', props: {} }],
      chardevs: distinct.map(([each, to]) => ({ id: each, backend: to })),
      ports: [{ option: 'serial', backend: { kind: 'null' } }],
      monitors: [{ kind: 'qmp', name: 'second.sock' }],
      netdevs: [
        { type: 'tap', id: 'n0', bridge: 'br0', mac: '52:54:00:00:00:01', vhost: true, queues: 1 },
      ],
      devices: [
        { driver: 'e1000', id: 'nic-0', props: { netdev: 'n0', mac: '52:54:00:00:00:01' } },
        ...devices.map(([each, given]) => ({ driver: 'ide-hd', id: each, props: { ...given } })),
        ...anonymous.map((given) => ({ driver: 'ide-hd', props: { ...given } })),
      ],
      ramBlocks: [{ name: 'pc.ram', bytes: 512 << 20 }],
    } satisfies GuestSpec;
  });

describe('a command line built from a description', () => {
  test('the command line describes the same guest again', () => {
    fc.assert(
      fc.property(spec, fc.boolean(), (given, pipes) => {
        guestSpec.parse(given);
        const argv = ['/usr/bin/qemu-system-x86_64', ...buildArgv(given, { ...PLACE, pipes })];
        const again = describeGuest(factsOf(argv)).spec;
        assert.deepEqual(again, given);
      }),
    );
  });

  test('the command line starts a paused guest that waits for its memory, whatever the description says', () => {
    fc.assert(
      fc.property(spec, (given) => {
        const argv = buildArgv(given, PLACE);
        assert.ok(argv.includes('-S'));
        assert.deepEqual(argv.slice(-2), ['-incoming', 'defer']);
        assert.ok(argv.includes('unix:/guests/web1/qmp.sock,server=on,wait=off'));
      }),
    );
  });

  test('the command line gives each device in one form, because QEMU creates key=value devices first', () => {
    const device = { driver: 'virtio-balloon-pci', id: 'b0', props: { 'deflate-on-oom': true } };
    const [sample] = fc.sample(spec, 1);
    assert.ok(sample);
    const argv = buildArgv({ ...sample, devices: [device] }, PLACE);
    const at = argv.lastIndexOf('-device');
    assert.equal(argv[at + 1], 'virtio-balloon-pci,id=b0,deflate-on-oom=on');
  });
});
