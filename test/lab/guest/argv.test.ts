import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  divideWorkingSet,
  type GuestHardware,
  kernelCommandLine,
  qemuArgv,
} from '../../../lab/guest/argv.ts';

const MIB = 1024 ** 2;

const hardware: GuestHardware = {
  name: 'web1',
  uuid: '00000000-0000-8000-8000-000000000000',
  binary: 'qemu-system-x86_64',
  machineType: 'pc-q35-7.2',
  accelerator: 'tcg',
  memoryBytes: 512 * MIB,
  index: 3,
  mac: '52:54:00:00:00:01',
  kernel: 'vmlinuz',
  initramfs: 'initramfs',
  commandLine: 'quiet',
  dir: 'guests/web1',
};

function valueOf(argv: readonly string[], flag: string): string | undefined {
  return argv[argv.indexOf(flag) + 1];
}

test('the command line names machine, memory and devices, and two monitors', () => {
  const argv = qemuArgv(hardware);
  assert.equal(argv[0], 'qemu-system-x86_64');
  assert.equal(valueOf(argv, '-machine'), 'pc-q35-7.2');
  assert.equal(valueOf(argv, '-m'), '512M');
  assert.equal(valueOf(argv, '-cpu'), 'max');
  assert.match(valueOf(argv, '-netdev') ?? '', /ifname=tap3,/);
  assert.equal(argv.filter((word) => word === '-qmp').length, 2);
});

test('a NIC behind a user-space switch computes its checksums itself', () => {
  const nicOf = (own: boolean): string | undefined =>
    qemuArgv({ ...hardware, ownChecksums: own }).find((word) => word.startsWith('virtio-net-pci'));
  assert.match(nicOf(true) ?? '', /,csum=off$/);
  assert.doesNotMatch(nicOf(false) ?? '', /csum/);
});

test('a balloon with hints of free pages has a separate thread', () => {
  const argv = qemuArgv({ ...hardware, freePageHint: true });
  const [balloon] = argv.filter((word) => word.startsWith('virtio-balloon-pci'));
  assert.equal(
    balloon,
    'virtio-balloon-pci,id=balloon0,free-page-hint=on,iothread=balloon0-thread',
  );
  assert.equal(valueOf(argv, '-object'), 'iothread,id=balloon0-thread');
});

test('under KVM the guest gets the processor of the host', () => {
  const argv = qemuArgv({ ...hardware, accelerator: 'kvm' });
  assert.equal(valueOf(argv, '-accel'), 'kvm');
  assert.equal(valueOf(argv, '-cpu'), 'host');
});

test("the guest's task is on the kernel's command line", () => {
  const line = kernelCommandLine({
    address: '10.88.0.21',
    staticBytes: 32 * MIB,
    dirtyBytes: 16 * MIB,
    dirtyBytesPerSecond: 20 * MIB,
  });
  for (const word of [
    'godwit.ip=10.88.0.21/24',
    'godwit.static=32768',
    'godwit.dirty=16384',
    'godwit.rate=20971520',
  ]) {
    assert.ok(line.split(' ').includes(word), word);
  }
});

test("a rate for the guest's disks is given if there is one, including its pauses", () => {
  const workload = { address: '10.88.0.21', staticBytes: 0, dirtyBytes: 0, dirtyBytesPerSecond: 0 };
  const line = (disks: number, rate?: number): string =>
    kernelCommandLine({ ...workload, disks, diskBytesPerSecond: rate });
  assert.match(line(2, 5 * MIB), /godwit\.disks=2 godwit\.diskrate=5242880$/);
  assert.match(line(1, 0), /godwit\.diskrate=0$/);
  assert.doesNotMatch(line(1), /diskrate/);
  assert.doesNotMatch(line(0, 5), /disk/);
});

test('a working set is divided without remainder, or refused when the guest is too small for it', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 4096 }),
      fc.option(fc.nat({ max: 4096 }), { nil: undefined }),
      fc.nat({ max: 1000 }),
      (memory, set, rate) => {
        const wanted = set === undefined ? undefined : set * MIB;
        const parts = divideWorkingSet(memory * MIB, wanted, rate);
        if (parts === undefined) return;
        const total = parts.staticBytes + parts.dirtyBytes;
        assert.ok(total <= memory * MIB - 112 * MIB);
        if (wanted !== undefined) assert.equal(total, wanted);
        if (rate === 0) assert.equal(parts.dirtyBytes, 0);
      },
    ),
  );
  assert.equal(divideWorkingSet(100 * MIB, undefined, 0), undefined);
  assert.equal(divideWorkingSet(256 * MIB, 200 * MIB, 0), undefined);
});

test("a database load has a word on the kernel's command line, and the default load has none", () => {
  const workload = {
    address: '10.88.0.21',
    staticBytes: MIB,
    dirtyBytes: 0,
    dirtyBytesPerSecond: 0,
    disks: 1,
  };
  assert.match(kernelCommandLine({ ...workload, load: 'database' }), / godwit\.load=database$/);
  assert.doesNotMatch(kernelCommandLine({ ...workload, load: 'pieces' }), /load/);
});
