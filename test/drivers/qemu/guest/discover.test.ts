import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  candidatesOf,
  fromFacts,
  fromProcess,
  managerOf,
  withFailure,
} from '../../../../src/drivers/qemu/guest/discover.ts';
import {
  isSystemEmulator,
  splitCommandLine,
  type QemuProcess,
} from '../../../../src/drivers/qemu/guest/process.ts';
import { parseCommandLine } from '../../../../src/drivers/qemu/spec/cmdline.ts';
import { parseNetwork, parseRamBlocks } from '../../../../src/drivers/qemu/spec/monitor-text.ts';
import { NO_BLOCKS } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { guestInfo } from '../../../../src/protocol/public/hosts/host.ts';
import { commandLine, factsOf } from '../spec/facts.ts';

const processOf = (text: string, pid = 100): QemuProcess => ({
  pid,
  startTicks: 5,
  binary: '/usr/bin/qemu-system-x86_64',
  argv: commandLine(text),
  cwd: '/srv',
});

const LIBVIRT = `-name guest=db1,debug-threads=on -chardev socket,id=charmonitor,fd=33,server=on,wait=off
  -mon chardev=charmonitor,id=monitor,mode=control -object {"qom-type":"secret","id":"masterKey0"}
  -msg timestamp=on -D /var/lib/libvirt/qemu/domain-1-db1/x.log`;
const PROXMOX = `-id 101 -name vm101,debug-threads=on
  -chardev socket,id=qmp,path=/var/run/qemu-server/101.qmp,server=on,wait=off -mon chardev=qmp,mode=control`;

describe('guests found by their processes', () => {
  test('guests are found by name, with their QMP sockets in the order to try', () => {
    const line = `-name guest=web1 -qmp unix:qmp.sock,server=on,wait=off
      -chardev socket,id=m,path=/run/mon.sock,server=on,wait=off -mon chardev=m,mode=control
      -monitor unix:/run/hmp.sock,server=on,wait=off`;
    const [found] = candidatesOf([processOf(line)], []);
    assert.equal(found?.name, 'web1');
    assert.deepEqual(found.sockets, ['/run/mon.sock', '/srv/qmp.sock']);
    assert.equal(found.manager, undefined);
  });

  test('guests have a manager when libvirt or Proxmox VE started them', () => {
    const [libvirt, proxmox] = candidatesOf([processOf(LIBVIRT), processOf(PROXMOX, 101)], []);
    assert.equal(libvirt?.manager, 'libvirt');
    assert.deepEqual(libvirt.sockets, []);
    assert.equal(proxmox?.manager, 'Proxmox VE');
    assert.equal(managerOf(commandLine('-name web1')), undefined);
  });

  test('guests without a name, or with a shared one, get a unique name', () => {
    const processes = [
      processOf('-name web1'),
      processOf('-name web1', 101),
      processOf('-m 1G', 102),
    ];
    const odd = processOf('-name ../../etc', 103);
    const names = candidatesOf([...processes, odd], []).map(({ name }) => name);
    assert.deepEqual(names, ['web1', 'web1-101', 'qemu-102', 'etc-74ccf3c5']);
  });

  test('guests keep their names when a process with a lower number gets the same name later', () => {
    const runs = { ...processOf('-name web1', 30_000), startTicks: 5 };
    const later = { ...processOf('-name web1', 200), startTicks: 6 };
    const names = candidatesOf([later, runs], []).map(({ name, process }) => [name, process.pid]);
    assert.deepEqual(names, [
      ['web1', 30_000],
      ['web1-200', 200],
    ]);
  });

  test('guests take the name that the configuration gives their socket', () => {
    const line = '-qmp unix:/run/a.sock,server=on,wait=off';
    const [found] = candidatesOf([processOf(line)], [{ name: 'db9', qmp: '/run/a.sock' }]);
    assert.equal(found?.name, 'db9');
  });

  test('programs that only answer questions about themselves are not guests', () => {
    assert.deepEqual(candidatesOf([processOf('-machine none -qmp stdio')], []), []);
  });

  test('guests are described from the process alone when Godwit does not own their monitor', () => {
    const [found] = candidatesOf([processOf(`${LIBVIRT} -m 2G -smp 4,sockets=2 -M pc`)], []);
    assert.ok(found);
    const info = guestInfo.parse(fromProcess(found, 'a'));
    assert.equal(info.memoryBytes, 2 * 1024 ** 3);
    assert.equal(info.vcpus, 4);
    assert.equal(info.manager, 'libvirt');
    assert.equal(info.state, 'unknown');
  });

  test('guests report what they are and what cannot move', () => {
    const argv = commandLine('-nodefaults -device vfio-pci,id=gpu,host=01:00.0');
    const [found] = candidatesOf([{ ...processOf(''), argv }], []);
    assert.ok(found);
    const block = { ...NO_BLOCKS, jobs: ['mirror d0'] };
    const info = guestInfo.parse(fromFacts(fromProcess(found, 'a'), factsOf(argv, { block })));
    assert.equal(info.state, 'running');
    assert.deepEqual(info.unmovable, [
      'mirror d0 (block job): it is at work on a disk',
      'gpu (vfio-pci): it is a device of this host, passed through',
    ]);
  });

  test('guests that fail to answer cannot move, and the reason fits the protocol, whatever is thrown', () => {
    const [found] = candidatesOf([processOf('-name web1')], []);
    assert.ok(found);
    const base = fromProcess(found, 'a');
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.string({ minLength: 5000 }).map(Error)), (thrown) => {
        const { unmovable } = guestInfo.parse(withFailure(base, thrown));
        assert.equal(unmovable.length, 1);
      }),
    );
    const { unmovable } = withFailure(base, new SyntaxError('Unexpected end of JSON input'));
    assert.deepEqual(unmovable, ['Unexpected end of JSON input']);
  });

  test("the reasons fit the protocol, however long the command line's words are", () => {
    const argv = ['qemu', '-nodefaults', '-unknown', 'x'.repeat(10_000)];
    const [found] = candidatesOf([{ ...processOf(''), argv }], []);
    assert.ok(found);
    guestInfo.parse(fromFacts(fromProcess(found, 'a'), factsOf(argv)));
  });

  test('any command line is read without a crash', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        parseCommandLine(words);
        candidatesOf([{ ...processOf(''), argv: words }], []);
      }),
    );
  });
});

describe("the kernel's report of a process", () => {
  test("the kernel reports a process's command line, and whether it is a system emulator", () => {
    assert.deepEqual(splitCommandLine(Buffer.from('qemu\0-m\x001G\0')), ['qemu', '-m', '1G']);
    assert.ok(isSystemEmulator('/usr/bin/kvm', ''));
    assert.ok(isSystemEmulator('guest', '/usr/bin/qemu-system-aarch64 (deleted)'));
    assert.ok(!isSystemEmulator('qemu-img', '/usr/bin/qemu-img'));
  });
});

describe('the monitor’s texts', () => {
  test("the monitor's texts yield memory blocks with their maximum size", () => {
    const text = [
      '              Block Name    PSize              Offset               Used              Total                HVA  RO',
      '                  pc.ram    4 KiB  0x0000000000000000 0x0000000010000000 0x0000000010000000 0x00007f49abe00000  rw',
      '    /rom@etc/acpi/tables    4 KiB  0x00000000100c0000 0x0000000000020000 0x0000000000200000',
    ].join('\r\n');
    assert.deepEqual(parseRamBlocks(text), [
      { name: 'pc.ram', bytes: 0x1000_0000 },
      { name: '/rom@etc/acpi/tables', bytes: 0x20_0000 },
    ]);
  });

  test("the monitor's texts yield network backends with their taps", () => {
    const text = [
      'virtio-net-pci.0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:57',
      ' \\ n1: index=0,type=tap,ifname=tap0,script=no,downscript=no',
      'hub 0',
      ' \\ n0: nic0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56',
    ].join('\n');
    assert.deepEqual(parseNetwork(text), [
      { id: 'virtio-net-pci.0', type: 'nic' },
      { id: 'n1', type: 'tap', ifname: 'tap0' },
      { id: 'n0', type: 'hubport', hubid: 0 },
    ]);
  });
});
