import { STRATEGY_NAMES } from '../../protocol/public/steering.ts';
import type { Flag } from '../verb.ts';

/** Flags of a migration, its checks and its plan. Data only: the help must not cost an import. */

export const SETTINGS = {
  mode: {
    kind: 'choice',
    value: 'mode',
    choices: ['precopy', 'postcopy', 'hybrid', 'cold'],
    summary:
      'when memory moves: before the switchover (precopy, the default), after it, or both (hybrid); cold: not at all, the guest shuts down and starts on the destination. Not with --steering',
  },
  steering: {
    kind: 'choice',
    value: 'strategy',
    choices: [...STRATEGY_NAMES],
    summary:
      'how to handle a guest that does not converge. gentle: give up early, never touch the guest; standard: a longer downtime, then post-copy; must-finish: post-copy as soon as it costs less than more pre-copy, or slow the guest down as far as needed; no-postcopy: a longer downtime, then slow the guest down; budget: all of these, within --max-downtime and a deadline. The strategy sets the mode: it excludes --mode',
  },
  steeringFile: {
    kind: 'file',
    group: 'Memory',
    value: 'file',
    summary: 'a JSON file with your own strategy',
  },
  maxDowntime: {
    kind: 'duration',
    summary:
      "the longest pause that pre-copy may plan for the switchover (default: 100ms, or the strategy's value)",
  },
  deadline: {
    kind: 'text',
    group: 'When to begin',
    value: 'time',
    summary:
      'roll back if the switchover has not begun by then: a duration (5m), a time of day (18:00) or a date and time',
  },
  notBefore: {
    kind: 'text',
    group: 'When to begin',
    value: 'time',
    summary:
      'begin at this time, and change nothing before: a duration (2h), a time of day (01:00) or a date and time; up to 7 days ahead',
  },
  window: {
    kind: 'text',
    group: 'When to begin',
    value: 'from-until',
    summary:
      'begin within these times of day (01:00-05:00), and roll back if the switchover has not begun by the end',
  },
  when: {
    kind: 'choice',
    group: 'When to begin',
    choices: ['quiet'],
    summary: 'before anything is changed, wait for a time when the guest writes little',
  },
  quietWithin: {
    kind: 'duration',
    group: 'When to begin',
    summary: 'with --when quiet: begin anyway after this time, up to 1 day (default: 1h)',
  },
  returnIfUnhealthy: {
    kind: 'text',
    value: 'check',
    summary:
      'after the move, the destination repeats this check of the site (check-NAME in its directory of hooks); if it fails, a second migration moves the guest back',
  },
  returnWithin: {
    kind: 'duration',
    summary:
      'with --return-if-unhealthy: how long the check is repeated, 10s to 1 day (default: 10m)',
  },
  notice: {
    kind: 'duration',
    group: 'When to begin',
    summary:
      "notify the guest's owner this long before the move with the hook `notice` of its host, 1s to 1h; the answer that it is ready ends the wait",
  },
  maxBandwidth: { kind: 'rate', summary: 'maximum rate of the memory stream, such as 1gbit' },
  linkShare: {
    kind: 'text',
    group: 'Memory',
    value: 'share',
    summary:
      "the largest share of the link's bandwidth that memory may take, such as 0.7 or 70%; the rest is for the guests",
  },
  balloon: {
    kind: 'choice',
    group: 'Memory',
    choices: ['free', 'available'],
    summary:
      "with the guest's balloon, reclaim memory that it does not need before the move, and give it back after: free pages, or also page cache",
  },
  streams: {
    kind: 'count',
    group: 'Memory',
    summary: 'parallel memory streams, 1 to 16',
    preset: '1',
  },
  compress: {
    kind: 'choice',
    group: 'Memory',
    choices: ['none', 'zstd', 'xbzrle'],
    summary: 'compression of the memory stream',
    preset: 'none',
  },
  compressLevel: {
    kind: 'count',
    group: 'Memory',
    summary:
      'with --compress zstd: the level, 1 to 20 (default: 1); a higher level sends fewer bytes and takes more CPU time',
  },
  giveUpAfter: {
    kind: 'duration',
    group: 'When to begin',
    summary:
      'roll back if the switchover has not begun this long after the beginning; --deadline counts from now and names a moment',
    preset: '10m',
  },
  hybridRounds: {
    kind: 'count',
    group: 'Memory',
    summary: 'hybrid: rounds of pre-copy before post-copy begins',
    preset: '3',
  },
  onLost: {
    kind: 'choice',
    group: 'Memory',
    choices: ['hold', 'restart'],
    summary:
      'if the destination fails permanently in post-copy: leave everything as it is, or restart the guest at the source',
    preset: 'hold',
  },
  pathAddress: {
    kind: 'text',
    group: 'Devices and network',
    value: 'address',
    repeatable: true,
    summary:
      'another address of the destination, HOST or HOST:PORT, in case its first one does not answer; may be repeated, tried in order',
  },
  mapNetwork: {
    kind: 'text',
    group: 'Devices and network',
    value: 'src=dst',
    repeatable: true,
    summary:
      'a network of the source (a bridge) and the corresponding network of the destination, if they do not match by name, VLAN or VNI; may be repeated',
  },
  path: {
    kind: 'choice',
    group: 'Memory',
    choices: ['auto', 'native', 'wire'],
    summary:
      'the data path of memory. native: from QEMU to QEMU. wire: through the movers, which send only data that the other host lacks (for thin links). auto: the path with the shortest predicted time, or one that sends less and takes at most a tenth longer',
    preset: 'native',
  },
  transport: {
    kind: 'choice',
    group: 'Memory',
    choices: ['tcp', 'zero-copy', 'rdma'],
    summary:
      'how QEMU carries memory on the native path. zero-copy (requires --streams) and rdma do not encrypt memory: both hosts must allow that (`unencryptedMemory`). A check refuses if a host lacks support',
    preset: 'tcp',
  },
  linkGrace: {
    kind: 'duration',
    group: 'Memory',
    summary: 'wire: how long its links may be down before QEMU notices, up to 2m',
    preset: '1m',
  },
  datastore: {
    kind: 'text',
    group: 'Managers',
    value: 'name',
    summary:
      "for guests of vSphere and Hyper-V: the target of the disks, the name of a datastore or the path of a folder. If --to is the guest's current host, only the disks move",
  },
  priority: {
    kind: 'choice',
    group: 'Managers',
    choices: ['low', 'high'],
    summary: 'priority among other tasks, for a guest whose manager (vSphere) has priorities',
  },
  encrypted: {
    kind: 'switch',
    group: 'Managers',
    summary: "refuse the move if the guest's manager (vSphere) would send its memory unencrypted",
  },
  unplug: {
    kind: 'text',
    group: 'Devices and network',
    value: 'device',
    repeatable: true,
    summary:
      'unplug this device (a PCI or USB device of the host, by its id) before the memory moves. The guest runs without it on the destination, and gets it back if it stays. May be repeated. Same as the label godwit/unplug',
  },
  plug: {
    kind: 'text',
    group: 'Devices and network',
    value: 'device',
    repeatable: true,
    summary:
      "after the move, plug in this device of the destination, by its name in the destination's configuration (drivers.qemu.devices). May be repeated. Same as the label godwit/plug",
  },
  keepSource: {
    kind: 'switch',
    group: 'Disks',
    summary:
      "keep the source's images of copied disks under another name (libvirt's keep their names)",
  },
  diskWrites: {
    kind: 'choice',
    group: 'Disks',
    choices: ['slow', 'refuse'],
    summary:
      'if a guest writes to its disks faster than they can be copied: delay its writes, or give up the migration',
    preset: 'slow',
  },
  verifyDisks: {
    kind: 'switch',
    group: 'Disks',
    summary:
      "after the move, compare the copied disks with the source's disks at the switchover; the source's images are removed only if they match",
  },
} as const satisfies Record<string, Flag>;
