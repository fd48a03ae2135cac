import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { commandLine, factsOf } from './facts.ts';

const LAB = commandLine(`
  -name guest=web1,debug-threads=on -machine q35,usb=off -accel tcg,thread=multi -cpu max -m 512M,maxmem=4G,slots=2
  -smp 2,sockets=1 -nodefaults -no-user-config -daemonize -pidfile /run/x/pid -display none -msg timestamp=on
  -kernel /boot/vmlinuz -initrd /boot/initrd -append console=ttyS0
  -qmp unix:/run/x/qmp.sock,server=on,wait=off -qmp unix:/run/x/second.sock,server,nowait
  -monitor unix:/run/x/hmp.sock,server=on,wait=off -serial unix:/run/x/serial.sock,server=on,wait=off
  -netdev tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=on
  -device virtio-net-pci,netdev=n0,id=nic0,mac=52:54:00:aa:bb:cc,bus=pcie.0,addr=03.0
`);

const findingsOf = (text: string, change = {}): string[] =>
  describeGuest(factsOf(commandLine(`-nodefaults ${text}`), change))
    .findings.filter(({ kind }) => kind !== 'changed')
    .map(({ device }) => device);

describe('malformed JSON options', () => {
  const names = ['device', 'object', 'netdev', 'blockdev', 'smbios', 'global', 'numa'];
  for (const name of names) {
    test(`malformed JSON in an option is a finding, without an exception: -${name}`, () => {
      const argv = commandLine(`-nodefaults -${name} {`);
      assert.deepEqual(
        describeGuest(factsOf(argv, { devices: [], objects: [] })).findings.map(
          ({ device, reason }) => [device, reason],
        ),
        [[`-${name}`, 'its value begins as JSON, and is none']],
      );
    });
  }
});

describe('the description of a guest', () => {
  test('a description has everything that the guest sees, and names what the destination must find', () => {
    const { spec, imageFiles, findings } = describeGuest(factsOf(LAB));
    guestSpec.parse(spec);
    assert.deepEqual(findings, []);
    assert.equal(spec.name, 'web1');
    assert.deepEqual(spec.machine, { type: 'pc-q35-7.2', props: { usb: 'off' } });
    assert.deepEqual(spec.memory, { bytes: 512 << 20, slots: 2, maxBytes: 4 * 1024 ** 3 });
    assert.deepEqual(spec.smp, { cpus: 2, sockets: 1 });
    assert.equal(spec.append, 'console=ttyS0');
    assert.deepEqual(spec.monitors, [
      { kind: 'qmp', name: 'second.sock' },
      { kind: 'hmp', name: 'hmp.sock' },
    ]);
    assert.deepEqual(spec.ports, [
      { option: 'serial', backend: { kind: 'socket', name: 'serial.sock', mux: false } },
    ]);
    assert.deepEqual(spec.netdevs, [
      { type: 'tap', id: 'n0', bridge: 'br0', mac: '52:54:00:aa:bb:cc', vhost: true, queues: 1 },
    ]);
    assert.deepEqual(
      [...imageFiles],
      [
        ['kernel', '/boot/vmlinuz'],
        ['initrd', '/boot/initrd'],
      ],
    );
    assert.ok(!JSON.stringify(spec).includes('/run/x'), 'no path of this host travels');
  });

  test("a description may have the guest's number in Proxmox", () => {
    assert.deepEqual(findingsOf('-id 101'), []);
  });

  test('a description has the devices of a -readconfig file, as QEMU reports them, each after its bus', () => {
    const argv = commandLine(
      '-nodefaults -readconfig q35.cfg -device virtio-rng-pci,id=r,bus=pci.0',
    );
    const made = (id: string, type: string, bus: string, changed: object) => ({
      path: `/machine/peripheral/${id}`,
      id,
      type,
      bus: bus.split('/').at(-1),
      busPath: bus,
      addr: '01.0',
      mac: undefined,
      netdev: undefined,
      changed: changed as Record<string, string>,
    });
    const facts = factsOf(argv);
    const root = '/machine/q35/pcie.0';
    const bridges = '/machine/peripheral/pcidmi/pcidmi';
    const rng = { ...facts.devices[0], busPath: '/machine/peripheral/pci.0/pci.0' };
    const devices = [
      rng as (typeof facts.devices)[number],
      made('a-uhci', 'ich9-usb-uhci1', root, { masterbus: 'ehci.0' }),
      made('ehci', 'ich9-usb-ehci1', root, {}),
      made('pci.0', 'pci-bridge', bridges, { chassis_nr: '1' }),
      made('pcidmi', 'i82801b11-bridge', root, {}),
    ];
    const sections = devices.slice(1).map(({ id = '' }) => ({ type: 'device', id }));
    const file = 'q35.cfg';
    const { spec, findings } = describeGuest({
      ...facts,
      devices,
      configFiles: [{ file, sections }],
    });
    assert.deepEqual(findings, []);
    const ids = spec.devices.map(({ id }) => id);
    assert.deepEqual(ids, ['pcidmi', 'pci.0', 'r', 'ehci', 'a-uhci']);
    const other = { file, sections: [{ type: 'machine' }] };
    const refused = describeGuest({ ...facts, configFiles: [other] }).findings;
    assert.deepEqual(
      refused.map(({ reason }) => reason),
      ['it has a section [machine]: say it as -machine'],
    );
    const unread = describeGuest({ ...facts, configFiles: [{ file }] }).findings;
    assert.equal(unread[0]?.reason, 'its file cannot be read');
  });

  test('a description has unstated properties that the guest sees: generation id, clock, no graphics', () => {
    const argv = commandLine(
      '-nodefaults -nographic -cpu max,tsc-frequency=2000000000 -device vmgenid,guid=auto,id=g',
    );
    const facts = factsOf(argv);
    const guid = '958faee8-3a69-4375-a9d0-1374af30b12e';
    const devices = facts.devices.map((device) => ({ ...device, identity: { guid } }));
    const { spec, findings } = describeGuest({ ...facts, devices });
    guestSpec.parse(spec);
    assert.deepEqual(findings, []);
    assert.deepEqual(spec.devices, [{ driver: 'vmgenid', id: 'g', props: { guid } }]);
    assert.equal(spec.machine.props['graphics'], 'off');
    assert.deepEqual({ ...spec.cpu?.switches }, { 'tsc-frequency': 2_000_000_000 });
  });

  test('a description reports that a character device is no longer logged', () => {
    const argv = commandLine('-nodefaults -chardev null,id=c0,logfile=/var/log/c0');
    const { findings } = describeGuest(factsOf(argv));
    assert.deepEqual(
      findings.map(({ kind, device, reason }) => [kind, device, reason]),
      [['changed', 'c0', 'is not logged at the destination']],
    );
  });

  test('a description has the present devices: unplugged ones removed, plugged ones added', () => {
    const argv = commandLine('-nodefaults -device virtio-rng-pci,id=a -device e1000,id=b');
    const facts = factsOf(argv);
    const plugged = {
      path: '/machine/peripheral/c',
      id: 'c',
      type: 'virtio-balloon-pci',
      bus: 'rp1',
      addr: '00.0',
      mac: undefined,
      netdev: undefined,
      changed: { 'deflate-on-oom': true },
    };
    const { spec } = describeGuest({
      ...facts,
      devices: [...facts.devices.filter(({ id }) => id !== 'a'), plugged],
    });
    const added = { 'deflate-on-oom': 'on', bus: 'rp1', addr: '00.0' };
    assert.deepEqual(spec.devices, [
      { driver: 'e1000', id: 'b', props: {} },
      { driver: 'virtio-balloon-pci', id: 'c', props: added },
    ]);
  });

  test('addresses come from the guest and not from its command line', () => {
    const facts = factsOf(commandLine('-nodefaults -device virtio-rng-pci,id=a'));
    const [device] = facts.devices;
    assert.ok(device);
    const live = { ...device, bus: 'pcie.0', addr: '1c.0' };
    const { spec } = describeGuest({ ...facts, devices: [live] });
    assert.deepEqual(spec.devices[0]?.props, { bus: 'pcie.0', addr: '1c.0' });
  });

  test('each device that cannot move is named', () => {
    assert.deepEqual(findingsOf('-device vfio-pci,host=01:00.0,id=gpu'), ['gpu']);
    assert.deepEqual(findingsOf('-device usb-host,hostbus=1,hostaddr=2'), ['usb-host']);
    assert.deepEqual(findingsOf('-device ivshmem-plain,memdev=m,id=shm'), ['shm']);
    assert.deepEqual(findingsOf('-device vhost-user-fs-pci,chardev=c,tag=t,id=fs'), ['fs']);
    assert.deepEqual(findingsOf('-device vhost-vsock-pci,guest-cid=3,id=sock'), ['sock']);
    assert.deepEqual(findingsOf('-virtfs local,path=/srv,mount_tag=t,security_model=none'), [
      '-virtfs local,path=/srv,mount_tag=t,security_model=none',
    ]);
    assert.deepEqual(findingsOf('-fw_cfg name=opt/x,file=/etc/secret'), ['opt/x']);
    assert.deepEqual(
      findingsOf('-device isa-serial,chardev=c -chardev socket,id=c,host=h,port=1'),
      ['c'],
    );
  });

  test('each kind of encrypted guest is refused by the object that encrypts it', () => {
    for (const type of ['sev-guest', 'sev-snp-guest', 'tdx-guest', 's390-pv-guest', 'pef-guest']) {
      const line = `-object ${type},id=enc0 -machine pc-q35-10.0,confidential-guest-support=enc0`;
      const { findings } = describeGuest(factsOf(commandLine(line)));
      const found = findings.find(({ device }) => device === 'enc0');
      assert.equal(found?.kind, 'unmovable', type);
      assert.match(found.reason, /encrypted guests cannot be moved/, type);
    }
  });

  test('a SCSI disk whose requests QEMU passes through, and does not split, is named', () => {
    const drive = '-device virtio-scsi-pci,id=s -drive file=/dev/sdb,if=none,id=d,format=raw';
    const hasUnknownType = (device: string): boolean => {
      const line = commandLine(`${drive} -device ${device},drive=d,id=lun`);
      const { findings } = describeGuest(factsOf(line));
      return findings.some(
        ({ type, reason }) => type === device && reason.startsWith('its type is not'),
      );
    };
    for (const device of ['scsi-block', 'scsi-generic']) assert.ok(hasUnknownType(device), device);
    assert.ok(!hasUnknownType('scsi-hd'));
  });

  test('a disk without a drive is named, and a drive without a disk is ignored', () => {
    assert.deepEqual(findingsOf('disk.img'), ['disk.img']);
    assert.deepEqual(findingsOf('-drive if=none,id=cd0,media=cdrom'), []);
  });

  test('an unknown option is refused rather than lost', () => {
    assert.deepEqual(findingsOf('-tpmdev passthrough,id=t'), ['-tpmdev passthrough,id=t']);
    assert.deepEqual(findingsOf('-readconfig /etc/qemu.cfg'), ['-readconfig /etc/qemu.cfg']);
    assert.deepEqual(findingsOf('-nic tap,model=e1000'), ['-nic tap,model=e1000']);
  });

  test('a tap in no bridge, and a backend with no counterpart, are refused', () => {
    const tap =
      '-netdev tap,id=n0,ifname=tap9 -device e1000,netdev=n0,id=nic0,mac=52:54:00:00:00:01';
    assert.deepEqual(findingsOf(tap), ['n0']);
    assert.deepEqual(findingsOf('-netdev vhost-user,id=n0,chardev=c'), ['n0']);
  });

  test('differences at the destination are reported: a display, a user network', () => {
    const { findings } = describeGuest(
      factsOf(commandLine('-nodefaults -vnc :1 -netdev user,id=n0 -serial stdio')),
    );
    assert.deepEqual(
      findings.map(({ kind, device }) => `${kind} ${device}`),
      ['changed -serial', 'changed n0', 'changed -vnc'],
    );
  });
});
