import type { Difference } from '../../../../src/drivers/qemu/same-machine/reasons.ts';

/** For each reason a difference that it covers, and one beside it that it does not. */
export type Example = [
  part: Difference['part'],
  property: string | undefined,
  from: string | undefined,
  to: string | undefined,
];
const passedThrough = { kind: 'device', place: 'peripheral/net1', type: 'vfio-pci' } as const;
const memoryFile = { kind: 'object', place: 'm0', type: 'memory-backend-file' } as const;
const device = { kind: 'device', place: 'd', type: 'VGA' };
export const EXAMPLES: Readonly<Record<string, readonly [covered: Example, not: Example]>> = {
  clock: [
    [{ kind: 'machine', place: 'machine', type: '' }, 'rtc-time.tm_sec', '1', '2'],
    [{ kind: 'machine', place: 'machine', type: '' }, 'smp.cpus', '1', '2'],
  ],
  'places of images': [
    [{ kind: 'machine', place: 'machine', type: '' }, 'kernel', '/a', '/b'],
    [{ kind: 'machine', place: 'machine', type: '' }, 'append', 'a', 'b'],
  ],
  'addresses that the firmware gives': [
    [device, 'busnr', '1', '0'],
    [device, 'addr', '03.0', '04.0'],
  ],
  'spelling of a default': [
    [device, 'rombar', '1', '-1'],
    [device, 'rombar', '0', '-1'],
  ],
  'geometry of a disk': [
    [
      { kind: 'device', place: 'v0/virtio-blk-device', type: 'virtio-blk-device' },
      'cyls',
      '130',
      '260',
    ],
    [
      { kind: 'device', place: 'v0/virtio-blk-device', type: 'virtio-blk-device' },
      'lcyls',
      '1',
      '2',
    ],
  ],
  'ROM files': [
    [device, 'romfile', '/a', '/b'],
    [device, 'romsize', '1', '2'],
  ],
  'processor features': [
    [{ kind: 'processor', place: 'processor', type: '' }, 'feature-words', 'a', 'b'],
    [{ kind: 'processor', place: 'processor', type: '' }, 'tsc-frequency', '1', '2'],
  ],
  'names of images': [
    [device, 'drive', 'a', 'b'],
    [device, 'serial', 'a', 'b'],
  ],
  'cache of writes': [
    [device, 'write-cache', 'auto', 'off'],
    [device, 'write-cache', 'off', 'auto'],
  ],
  'answer to errors of a disk': [
    [device, 'werror', 'auto', 'stop'],
    [device, 'werror', 'stop', 'auto'],
  ],
  'limits of disks': [
    [{ kind: 'disk', place: 'd', type: 'drive' }, 'throttled', 'true', 'false'],
    [{ kind: 'disk', place: 'd', type: 'drive' }, 'write-cache', 'true', 'false'],
  ],
  'routes to a file': [
    [{ kind: 'disk', place: 'd/image/file', type: 'file' }, 'type', 'file', 'nfs'],
    [{ kind: 'disk', place: 'd/image', type: 'raw' }, 'type', 'raw', 'qcow2'],
  ],
  'devices of a host': [
    [passedThrough, 'sysfsdev', '/sys/a', '/sys/b'],
    [passedThrough, 'enable-migration', 'on', 'off'],
  ],
  counters: [
    [device, 'guest-stats.last-update', '1', '2'],
    [device, 'guest-stats-polling-interval', '1', '2'],
  ],
  'keys of Godwit': [
    [{ kind: 'object', place: 'godwit-tls', type: 'tls-creds-x509' }, undefined, 'a', 'b'],
    [{ kind: 'object', place: 'tls', type: 'tls-creds-x509' }, undefined, 'a', 'b'],
  ],
  monitors: [
    [{ kind: 'chardev', place: 'compat_monitor1', type: 'unix' }, undefined, 'a', 'b'],
    [{ kind: 'network', place: 'compat_monitor1', type: 'tap' }, undefined, 'a', 'b'],
  ],
  'ends of character devices': [
    [{ kind: 'chardev', place: 'c0', type: 'pty' }, 'type', 'pty', 'file'],
    [device, 'chardev', 'c0', 'c1'],
  ],
  'memory’s place on its host': [
    [{ kind: 'object', place: 'm0', type: 'memory-backend-ram' }, 'policy', 'bind', 'default'],
    [{ kind: 'object', place: 'm0', type: 'memory-backend-ram' }, 'size', '1', '2'],
  ],
  'frequency of the time-stamp counter': [
    [
      { kind: 'processor', place: 'processor', type: '' },
      'tsc-frequency',
      '2596142000',
      '2596143000',
    ],
    [{ kind: 'processor', place: 'processor', type: '' }, 'family', '15', '6'],
  ],
  'ports of USB devices': [
    [device, 'port', '', '2'],
    [device, 'port', '1', '2'],
  ],
  'memory that is no file there': [
    [memoryFile, 'type', 'memory-backend-file', 'memory-backend-memfd'],
    [memoryFile, 'type', 'memory-backend-file', 'memory-backend-epc'],
  ],
  'settings of a file of memory': [
    [memoryFile, 'mem-path', '/dev/shm', undefined],
    [memoryFile, 'size', '1', '2'],
  ],
  'limits of drives': [
    [{ kind: 'object', place: 't', type: 'throttle-group' }, undefined, undefined, 'group'],
    [{ kind: 'object', place: 't', type: 'throttle-group' }, undefined, 'group', undefined],
  ],
  threads: [
    [{ kind: 'object', place: 'io1', type: 'iothread' }, 'poll-max-ns', '0', '32768'],
    [{ kind: 'object', place: 'io1', type: 'iothread' }, undefined, 'iothread', ''],
  ],
};
