import { STRATEGY_NAMES } from '../../protocol/public/steering.ts';
import type { Flag } from '../verb.ts';

/** The flags of a migration, which its checks and its plan take as well. Data only: the help must not cost an import. */

export const SETTINGS = {
  mode: {
    kind: 'choice',
    choices: ['precopy', 'postcopy', 'hybrid', 'cold'],
    summary:
      'how memory moves: before the switch (the default), after it, or first one and then the other; ' +
      'cold: not at all, the guest shuts itself down and is started there',
  },
  steering: {
    kind: 'choice',
    choices: [...STRATEGY_NAMES],
    summary:
      'what to do about a guest that does not converge. gentle: give up early, and never touch the guest; standard: a ' +
      'longer downtime, then post-copy; must-finish: post-copy as soon as it costs less than going on, or slow the ' +
      'guest down as far as it takes; no-postcopy: a longer downtime, then slow the guest down; budget: all of that, within --max-downtime and a deadline. The strategy ' +
      'decides the mode',
  },
  steeringFile: {
    kind: 'file',
    value: 'file',
    summary: 'a strategy of your own: a file of JSON',
  },
  maxDowntime: {
    kind: 'duration',
    summary:
      'the longest pause at the switch that pre-copy may plan for (default: 100ms, or what the strategy has)',
  },
  deadline: {
    kind: 'text',
    value: 'time',
    summary:
      'roll back when the switch has not begun by then: a duration (5m), a time of day (18:00) or a moment',
  },
  notBefore: {
    kind: 'text',
    value: 'time',
    summary:
      'begin then and touch nothing before: a duration (2h), a time of day (01:00) or a moment; up to 7 days ahead',
  },
  window: {
    kind: 'text',
    value: 'from-until',
    summary:
      'begin within these times of day (01:00-05:00), and roll back when the switch has not begun by their end',
  },
  when: {
    kind: 'choice',
    choices: ['quiet'],
    summary: 'wait for a moment in which the guest writes little, before anything is touched',
  },
  within: {
    kind: 'duration',
    summary:
      'with --when quiet: begin all the same after this time, up to 1 day (default: 1h). With ' +
      '--return-if-unhealthy: how long the check is repeated, 10s to 1 day (default: 10m)',
  },
  returnIfUnhealthy: {
    kind: 'text',
    value: 'check',
    summary:
      'once the guest runs there, that host repeats this check of the site’s (check-NAME in its directory of hooks); if it ' +
      'fails, a migration of its own takes the guest back',
  },
  notice: {
    kind: 'duration',
    summary:
      'notify the guest’s owner this long ahead by the hook `notice` of its host, 1s to 1h; the answer that it is ready ends the wait',
  },
  maxBandwidth: { kind: 'rate', summary: 'cap for the memory stream, such as 1gbit' },
  linkShare: {
    kind: 'text',
    value: 'share',
    summary:
      'memory takes at most this share of what the link carries, such as 0.7 or 70%; the rest is for the guests',
  },
  balloon: {
    kind: 'choice',
    choices: ['free', 'available'],
    summary:
      'take memory that the guest does not need out of the way by its balloon, and give it back after the move: free pages, or also page cache',
  },
  streams: { kind: 'count', summary: 'parallel memory streams, 1 to 16', preset: '1' },
  compress: {
    kind: 'choice',
    choices: ['none', 'zstd', 'xbzrle'],
    summary: 'compression of the memory stream',
    preset: 'none',
  },
  compressLevel: {
    kind: 'count',
    summary:
      'with --compress zstd: its level, 1 to 20 (default: 1); a higher one sends fewer bytes and takes more processor time',
  },
  timeout: {
    kind: 'duration',
    summary:
      'roll back when the switch has not begun by then; once the guest runs at the destination, Godwit’s own movers go on ' +
      'as long as its memory flows',
    preset: '10m',
  },
  hybridRounds: {
    kind: 'count',
    summary: 'hybrid: rounds of pre-copy before post-copy takes over',
    preset: '3',
  },
  onLost: {
    kind: 'choice',
    choices: ['hold', 'restart'],
    summary:
      'when the destination dies for good in post-copy: leave all as it is, or start the guest anew here',
    preset: 'hold',
  },
  pathAddress: {
    kind: 'text',
    value: 'address',
    repeatable: true,
    summary:
      'another address of that host, HOST or HOST:PORT, for when its own does not answer; ' +
      'may be given several times, tried in order',
  },
  network: {
    kind: 'text',
    value: 'src=dst',
    repeatable: true,
    summary:
      'network of the source (a bridge) and the one that it is at the destination, where they are not found by name, ' +
      'VLAN or VNI; may be given several times',
  },
  path: {
    kind: 'choice',
    choices: ['auto', 'native', 'wire'],
    summary:
      'the data path of memory: from QEMU to QEMU, or through the movers, which send only what the other host cannot ' +
      'know (for thin links); auto takes what is soonest by prediction, or what sends less and takes at most a tenth longer',
    preset: 'native',
  },
  transport: {
    kind: 'choice',
    choices: ['tcp', 'zero-copy', 'rdma'],
    summary:
      'how QEMU carries memory on the native path. zero-copy (it needs --streams) and rdma do not encrypt memory: both ' +
      'hosts must allow that (`unencryptedMemory`). A check refuses what a host lacks',
    preset: 'tcp',
  },
  linkGrace: {
    kind: 'duration',
    summary: 'wire: how long its links may be cut before QEMU sees it, up to 2m',
    preset: '1m',
  },
  datastore: {
    kind: 'text',
    value: 'name',
    summary:
      'guests of vSphere and Hyper-V: where the disks go, a datastore by its name or a folder by its path. If --to is the ' +
      'host that the guest is on, only the disks move',
  },
  priority: {
    kind: 'choice',
    choices: ['low', 'high'],
    summary: 'before or after other tasks, for a guest whose manager (vSphere) has priorities',
  },
  encrypted: {
    kind: 'switch',
    summary:
      'refuse the move where the guest’s manager (vSphere) would send its memory unencrypted',
  },
  unplug: {
    kind: 'text',
    value: 'device',
    repeatable: true,
    summary:
      'the guest is without this device while it moves: it is unplugged before its memory goes (a PCI or USB device of ' +
      'the host, by its id), and plugged in again where the guest stays; it runs without it there; may be given several ' +
      'times. The label godwit/unplug says the same',
  },
  plug: {
    kind: 'text',
    value: 'device',
    repeatable: true,
    summary:
      'once it runs there the guest gets this device of the destination’s own, by the name that the destination’s ' +
      'configuration has for it (drivers.qemu.devices); may be given several times. The label godwit/plug says the same',
  },
  keepSource: {
    kind: 'switch',
    summary:
      'keep the images of copied disks at the source, under another name (those of libvirt keep their own)',
  },
  diskWrites: {
    kind: 'choice',
    choices: ['slow', 'refuse'],
    summary:
      'a guest that writes to its disks faster than they can be copied: its writes wait for their copies, or the ' +
      'migration is given up',
    preset: 'slow',
  },
  verifyDisks: {
    kind: 'switch',
    summary:
      'compare the disks that are copied, as they were at the switch, once the guest runs there; the images at the source are removed only where they are the same',
  },
} as const satisfies Record<string, Flag>;
