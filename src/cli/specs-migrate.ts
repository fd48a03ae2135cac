import { STRATEGY_NAMES } from '../protocol/public/steering.ts';
import { spec, type Flag } from './verb.ts';

/** The verbs that ask for a migration, or for the checks of one: both take the same flags. */

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

export const migrateSpec = spec({
  name: 'migrate',
  summary: 'move a running guest to another host',
  details:
    'Shows the progress until the end. A signal (Ctrl-C, SIGTERM, SIGHUP) or a closed terminal detaches: the migration ' +
    'goes on by itself. At a terminal Ctrl-C asks first whether to cancel, detach or watch on; a second Ctrl-C takes ' +
    'nothing back: before an answer it detaches, after a cancel it only stops watching.',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  flags: {
    to: { kind: 'host', value: 'host', summary: 'the host to move it to (required)' },
    ...SETTINGS,
    detach: { kind: 'switch', summary: 'print the id and return at once' },
    rehearse: {
      kind: 'switch',
      summary:
        'do everything up to the switch with the real guest, undo it, and say what the move would have cost; the guest ' +
        'stays where it is, paused for moments, and nothing is left at the other host',
    },
    dryRun: {
      kind: 'switch',
      summary:
        'make every check, as `godwit check` does, predict as `godwit plan` does, say what would happen, and begin nothing',
    },
  },
  examples: [
    'migrate web1 --to b',
    'migrate web1 --to b --mode hybrid --max-bandwidth 1gbit --streams 4',
    'migrate web1 --to b --mode postcopy --path-address 10.1.0.12',
    'migrate web1 --to b --steering standard --max-downtime 300ms',
    'migrate web1 --to b --rehearse',
    'migrate web1 --to b --return-if-unhealthy check-web --within 10m',
    'migrate web1 --to b --window 01:00-05:00 --detach',
    'migrate web1 --to b --path wire --max-bandwidth 100mbit',
  ],
  usesAgent: true,
  json: 'report (with --detach: detached; with --dry-run: plan)',
});

export const checkSpec = spec({
  name: 'check',
  summary: 'check whether a guest could move to another host',
  details:
    'Makes every check that `godwit migrate` makes before it builds anything, with the same flags, and begins nothing. ' +
    'Exits with 0 where nothing refuses, else with the exit code of the first refusal.',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  flags: {
    to: {
      kind: 'host',
      value: 'host',
      summary:
        'the host to check; any: every host that the guest’s host knows, the best first (required)',
    },
    ...SETTINGS,
  },
  examples: [
    'check web1 --to b',
    'check web1 --to any',
    'check web1 --to b --mode postcopy --json',
  ],
  usesAgent: true,
  json: 'check',
});
