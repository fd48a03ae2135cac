import type { GuestLoad } from '../image/initramfs.ts';
import { tapName } from '../plan.ts';

/** A disk of a guest as QEMU is to open it. */
export interface GuestDrive {
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
  readonly thin: boolean;
}

export type Accelerator = 'kvm' | 'tcg';

/** Everything that QEMU's command line is made of. */
export interface GuestHardware {
  readonly name: string;
  readonly uuid: string;
  readonly binary: string;
  /** Versioned, such as pc-q35-7.2: what it is must not change with the binary. */
  readonly machineType: string;
  readonly accelerator: Accelerator;
  readonly memoryBytes: number;
  readonly index: number;
  readonly mac: string;
  readonly kernel: string;
  readonly initramfs: string;
  readonly commandLine: string;
  readonly drives?: readonly GuestDrive[] | undefined;
  /** Its NIC leaves no checksum to others: a switch that is a program passes frames on as they are. */
  readonly ownChecksums?: boolean | undefined;
  /** Its balloon device has the driver in the guest say which pages are free while the guest moves. */
  readonly freePageHint?: boolean | undefined;
  /** The guest's directory on its host, for sockets, logs and the pid. */
  readonly dir: string;
}

/** What init.sh reads. */
export interface GuestWorkload {
  readonly address: string;
  readonly staticBytes: number;
  readonly dirtyBytes: number;
  readonly dirtyBytesPerSecond: number;
  readonly disks?: number | undefined;
  /** What it writes to each of them; absent: little, and all the time. */
  readonly diskBytesPerSecond?: number | undefined;
  /** Absent: pieces. */
  readonly load?: GuestLoad | undefined;
}

export function guestFiles(
  dir: string,
): Record<'qmp' | 'witness' | 'serial' | 'serialLog' | 'log' | 'pid', string> {
  return {
    qmp: `${dir}/qmp.sock`,
    witness: `${dir}/qmp-witness.sock`,
    serial: `${dir}/serial.sock`,
    serialLog: `${dir}/serial.log`,
    log: `${dir}/qemu.log`,
    pid: `${dir}/qemu.pid`,
  };
}

/** The kernel's command line: quiet, no IPv6, and what init.sh reads. */
export function kernelCommandLine(workload: GuestWorkload): string {
  const kib = (bytes: number): number => Math.floor(bytes / 1024);
  return [
    // The kernel's test of its timer fails where QEMU waits long for a processor, and the guest then does not boot.
    'console=ttyS0 quiet panic=-1 ipv6.disable=1 mitigations=off random.trust_cpu=on cryptomgr.notests no_timer_check',
    `godwit.ip=${workload.address}/24`,
    `godwit.static=${kib(workload.staticBytes)}`,
    `godwit.dirty=${kib(workload.dirtyBytes)}`,
    `godwit.rate=${Math.round(workload.dirtyBytesPerSecond)}`,
    ...(workload.disks ? [`godwit.disks=${workload.disks}`] : []),
    ...(workload.disks && workload.diskBytesPerSecond !== undefined
      ? [`godwit.diskrate=${Math.round(workload.diskBytesPerSecond)}`]
      : []),
    ...(workload.load === 'database' ? ['godwit.load=database'] : []),
  ].join(' ');
}

/** QEMU's command line, the program first. */
export function qemuArgv(hardware: GuestHardware): string[] {
  const files = guestFiles(hardware.dir);
  const processor =
    hardware.accelerator === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi', '-cpu', 'max'];
  const groups = [
    [hardware.binary],
    ['-name', hardware.name, '-uuid', hardware.uuid],
    ['-machine', hardware.machineType],
    processor,
    ['-m', `${Math.floor(hardware.memoryBytes / 1024 ** 2)}M`, '-smp', '1'],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-msg', 'timestamp=on'],
    ['-kernel', hardware.kernel, '-initrd', hardware.initramfs],
    ['-append', hardware.commandLine],
    ['-netdev', `tap,id=net0,ifname=${tapName(hardware.index)},script=no,downscript=no`],
    ['-device', nicWords(hardware)],
    balloonWords(hardware),
    ...(hardware.drives ?? []).map(driveWords),
    [
      '-chardev',
      `socket,id=serial0,path=${files.serial},server=on,wait=off,logfile=${files.serialLog}`,
    ],
    ['-serial', 'chardev:serial0'],
    ['-qmp', `unix:${files.qmp},server=on,wait=off`],
    // A monitor of their own for whoever checks on Godwit: what it says does not pass Godwit.
    ['-qmp', `unix:${files.witness},server=on,wait=off`],
    ['-pidfile', files.pid],
  ];
  return groups.flat();
}

/** QEMU takes hints of free pages in a thread of its own. */
function balloonWords({ freePageHint }: GuestHardware): string[] {
  const balloon = 'virtio-balloon-pci,id=balloon0';
  if (freePageHint !== true) return ['-device', balloon];
  const thread = ['-object', 'iothread,id=balloon0-thread'];
  return [...thread, '-device', `${balloon},free-page-hint=on,iothread=balloon0-thread`];
}

function nicWords({ mac, ownChecksums }: GuestHardware): string {
  const nic = `virtio-net-pci,id=nic0,netdev=net0,mac=${mac},romfile=`;
  return ownChecksums === true ? `${nic},csum=off` : nic;
}

function driveWords({ file, format, thin }: GuestDrive, index: number): string[] {
  const id = `disk${index}`;
  const name = file.replaceAll(',', ',,');
  const discard = thin ? 'unmap' : 'ignore';
  return [
    '-drive',
    `if=none,id=${id},file=${name},format=${format},cache=none,discard=${discard}`,
    '-device',
    `virtio-blk-pci,id=${id}-dev,drive=${id}`,
  ];
}

const MIB = 1024 ** 2;
/** What the guest needs beside its working set: kernel, userland and the pool of random bytes. */
const OVERHEAD_BYTES = 112 * MIB;

/**
 * How a working set is divided: with a dirty rate, half of it (or `share`) is rewritten, the rest stays as it is.
 * Default: a quarter of the memory. Undefined when it does not fit.
 */
export function divideWorkingSet(
  memoryBytes: number,
  workingSetBytes: number | undefined,
  dirtyBytesPerSecond: number,
  share = 0.5,
): { staticBytes: number; dirtyBytes: number } | undefined {
  const room = memoryBytes - OVERHEAD_BYTES;
  const total = workingSetBytes ?? Math.min(Math.floor(memoryBytes / 4), Math.max(room, 0));
  if (room < MIB || total > room) return undefined;
  const dirtyBytes = dirtyBytesPerSecond > 0 ? Math.floor(total * share) : 0;
  return { staticBytes: total - dirtyBytes, dirtyBytes };
}
