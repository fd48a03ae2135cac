import {
  PORT_SETTINGS,
  type Act,
  type Orders,
  type PortSettings,
  type RunOrder,
} from './orders.ts';
import type { OperationKind, Scene } from './plan.ts';

/** What the witness saw of a run, against what the owner ordered. Pure. */

export interface SeenDisk {
  /** The device. */
  readonly id: string;
  readonly file: string;
  /** `dev:ino` of that path, if the hypervisor has that very file open. */
  readonly key: string | undefined;
  readonly bytes: number;
  readonly limit: number;
  /** The bytes that its owner wrote before the move are in it; undefined: it was not read. */
  readonly hasMark: boolean | undefined;
}

/** A hypervisor process of the guest. */
export interface SeenCopy {
  readonly host: string;
  /** As it reports it; `silent`: it does not answer. */
  readonly status: string;
  readonly disks: readonly SeenDisk[];
  readonly medium: string;
  readonly devices: readonly string[];
  readonly processors: number;
  /** Under way, or come to their end by themselves. */
  readonly jobs: readonly string[];
  /** Its first port; undefined: it has none in a bridge. */
  readonly port: ({ readonly bridge: string } & PortSettings) | undefined;
}

export type Outcome = 'done' | 'failed' | 'cancelled' | 'held' | 'lost' | 'refused' | 'running';

export interface SeenMemory {
  readonly ok: boolean;
  readonly badChunks: number;
  readonly badDiskChunks: number;
  readonly diskErrors: number;
  readonly isSameBoot: boolean;
}

export interface PlayObservation {
  readonly from: string;
  readonly to: string;
  readonly outcome: Outcome;
  /** `CODE: message`. */
  readonly reason: string;
  /** The host at which the report has the guest; undefined: it reports none. */
  readonly reportedAt: string | undefined;
  readonly copies: readonly SeenCopy[];
  /** Two copies ran at once: where, and how long. */
  readonly bothRan: string | undefined;
  /** `silent`: the guest gave no answer; undefined: nobody could ask it. */
  readonly memory: SeenMemory | 'silent' | undefined;
  /** The guest answers over its network before the witness touches its link; undefined: it was not asked. */
  readonly isReachable: boolean | undefined;
  /** Files of the owner that are gone or are others now, in words. */
  readonly files: readonly string[];
  /** What the move left on the hosts, in words. */
  readonly remains: readonly string[];
  /** What the report warns of. */
  readonly warnings: readonly string[];
  /** What the report names as left on a host, each with the reason. */
  readonly leftovers: readonly string[];
  /** Held: what became of the answers to it, in words; empty if one was accepted. */
  readonly unresolved: readonly string[];
  /** The witness cancelled a move that was correct so far, and slow. */
  readonly wasCancelled?: boolean | undefined;
}

/** Reasons by name with which a move may be rolled back after an operation. */
const CHANGED = /GODWIT_GUEST_CHANGED/;
/** The words name the state: a guest that met an I/O error was not paused by anybody. */
const PAUSED = /GODWIT_GUEST_(HALTED|STATE).*paused/;
const SHUT_DOWN = /GODWIT_GUEST_(HALTED|STATE).*shut/;
const IO_ERROR = /GODWIT_GUEST_(HALTED|STATE).*I\/O error/;
/** A reset of a guest that is down leaves it in a state of its hypervisor's own. */
const HALTED = /GODWIT_GUEST_(HALTED|STATE)/;
const ENDED = /GODWIT_GUEST_(ENDED|UNKNOWN|GONE)/;
const REPLACED = /GODWIT_DISK_REPLACED/;
const IN_USE = /GODWIT_DISK_IN_USE/;
const NO_ROOM = /GODWIT_DISK_SPACE|GODWIT_DISK_FAILED|[Nn]o space/;
const NOT_DOWN = /GODWIT_NOT_SHUT_DOWN/;
/** A cold move starts the guest by its command line, which lacks what was plugged in since. */
const NOT_AGAIN = /GODWIT_RESTART.*plugged/;
/** So it does for an image that a snapshot or a block job put in the place of another. */
const OTHER_IMAGE = /GODWIT_RESTART.*a snapshot or a block job/;
const PORT = /NETWORK|port/;

/** A guest that ends before Godwit first holds its monitor leaves nobody who could tell how. */
const GONE_UNSEEN = /is gone: process \d+ has ended/;
const REASONS: Readonly<Record<OperationKind, readonly RegExp[]>> = {
  snapshot: [CHANGED, OTHER_IMAGE],
  commit: [CHANGED, OTHER_IMAGE],
  resize: [CHANGED],
  'change-medium': [CHANGED],
  'eject-medium': [CHANGED],
  'plug-disk': [CHANGED, NOT_AGAIN],
  'unplug-disk': [CHANGED, NOT_AGAIN],
  'plug-nic': [CHANGED, NOT_AGAIN],
  'unplug-nic': [CHANGED, NOT_AGAIN],
  'plug-cpu': [CHANGED, NOT_AGAIN],
  backup: [CHANGED, /job/],
  mirror: [CHANGED, /job/],
  pause: [PAUSED, NOT_DOWN],
  resume: [],
  shutdown: [ENDED, SHUT_DOWN],
  reboot: [NOT_DOWN],
  reset: [HALTED, NOT_DOWN],
  quit: [ENDED, HALTED],
  'link-down': [CHANGED],
  'link-up': [CHANGED],
  'limit-disk': [CHANGED],
  balloon: [CHANGED],
  'replace-image': [REPLACED],
  'second-user': [IN_USE],
  'second-guest': [IN_USE, /share-rw/],
  'isolate-port': [CHANGED, PORT],
  'unflood-port': [CHANGED, PORT],
  'limit-port': [CHANGED, PORT],
  'move-port': [CHANGED, PORT, /br1/],
  password: [],
  'fill-source': [NO_ROOM, IO_ERROR],
  'fill-destination': [NO_ROOM],
  'starve-disk': [CHANGED, IO_ERROR, NO_ROOM],
};
const WARNINGS: Readonly<Record<keyof PortSettings, RegExp>> = {
  isolated: /isolat/,
  flood: /flood/,
  limited: /limit|tbf/,
};

/** The problems, in words; none if all is as it must be. */
export function judge(
  orders: Orders,
  acts: readonly Act[],
  seen: PlayObservation,
  scene: Pick<Scene, 'isShareRw'> = { isShareRw: false },
): string[] {
  const taken = acts.filter(({ refused }) => refused === undefined);
  return [
    ...theRuns(seen),
    ...theEnd(taken, seen, scene),
    ...theSharing(orders, taken, seen, scene),
    ...theGuest(orders, seen),
    ...seen.files.map((what) => `the owner's file: ${what}`),
    ...theRemains(seen),
    ...seen.unresolved.map((what) => `held, and nobody can release it: ${what}`),
  ];
}

/** A file of storage that the report names is left to the owner, as it says. */
function theRemains({ remains, leftovers }: PlayObservation): string[] {
  const reported = leftovers.length === 0 ? '' : ` (the report: ${leftovers.join('; ')})`;
  return remains
    .filter((what) => {
      const file = /: storage\/(.+)$/.exec(what)?.[1];
      return (
        file === undefined ||
        !leftovers.some((each) => each.split(/[ ,;]+/).some((word) => word.endsWith(`/${file}`)))
      );
    })
    .map((what) => `left behind: ${what}${reported}`);
}

function theRuns({ bothRan, copies }: PlayObservation): string[] {
  const running = copies.filter(({ status }) => status === 'running');
  return [
    ...(bothRan === undefined ? [] : [`TWO COPIES RAN: ${bothRan}`]),
    ...(running.length > 1
      ? [`TWO COPIES RUN: ${running.map(({ host }) => host).join(', ')}`]
      : []),
  ];
}

function theEnd(
  taken: readonly Act[],
  { outcome, reason, wasCancelled }: PlayObservation,
  { isShareRw }: Pick<Scene, 'isShareRw'>,
): string[] {
  if (outcome === 'running') return [`the move did not end: ${reason}`];
  if (outcome === 'done' || outcome === 'held') return [];
  if (wasCancelled === true && outcome === 'cancelled') return [];
  const reasons = [
    ...taken.flatMap(({ kind }) => REASONS[kind]),
    ...taken.flatMap(({ kind, moment }) =>
      moment === 'before' && (kind === 'shutdown' || kind === 'quit') ? [GONE_UNSEEN] : [],
    ),
    ...(isShareRw ? [/share-rw/] : []),
  ];
  if (reasons.some((each) => each.test(reason))) return [];
  const ordered = taken.map(({ kind }) => kind).join(', ') || 'nothing';
  return [
    `ended as ${outcome}, and the reason does not name what the owner did (${ordered}): ${reason}`,
  ];
}

/** Two guests cannot go on with two copies of what was one image, whether the other one writes now or by agreement later. */
function theSharing(
  orders: Orders,
  taken: readonly Act[],
  { outcome, from }: PlayObservation,
  { isShareRw }: Pick<Scene, 'isShareRw'>,
): string[] {
  if (outcome !== 'done') return [];
  const early = taken.filter(
    ({ kind, moment }) => kind.startsWith('second-') && moment === 'before',
  );
  const copied = early.filter(
    ({ id = '', host }) => host === from && orders.disks[id]?.isShared === false,
  );
  const local = Object.entries(orders.disks).filter(([, { isShared }]) => isShareRw && !isShared);
  return [
    ...copied.map(({ id }) => `${id} was copied although another program writes to it`),
    ...local.map(([id]) => `${id} was copied although other guests may write to it`),
  ];
}

const RUN_STATES: Readonly<Record<RunOrder, (status: string) => boolean>> = {
  running: (status) => status === 'running',
  paused: (status) => status === 'paused' || status === 'prelaunch',
  'shut-down': (status) => status === 'shutdown',
  ended: () => false,
  'io-error': (status) => status === 'io-error',
};

/** The state that a copy, or the lack of one, is in as its owner ordered it. */
export function isAsOrdered({ run }: Orders, copy: Pick<SeenCopy, 'status'> | undefined): boolean {
  if (copy === undefined) return run.includes('ended');
  return run.some((each) => RUN_STATES[each](copy.status));
}

function theGuest(orders: Orders, seen: PlayObservation): string[] {
  const { outcome, from, to, copies, reportedAt } = seen;
  if (outcome === 'running' || (outcome === 'held' && seen.unresolved.length > 0)) return [];
  const [copy, ...others] = copies;
  const problems = others.map(({ host, status }) => `another copy is left at ${host} (${status})`);
  const place = outcome === 'done' ? to : outcome === 'held' ? copy?.host : from;
  if (!isAsOrdered(orders, copy)) {
    const state = copy === undefined ? 'has no process' : `is ${copy.status} at ${copy.host}`;
    return [...problems, `the guest ${state}, and its owner ordered: ${orders.run.join(' or ')}`];
  }
  if (copy === undefined) return problems;
  if (copy.host !== place) {
    problems.push(`reported as ${outcome}, and the guest is at ${copy.host}: ${seen.reason}`);
  }
  if (reportedAt !== undefined && reportedAt !== copy.host) {
    problems.push(`the report has the guest at ${reportedAt}, and it is at ${copy.host}`);
  }
  if (copy.status === 'silent') return problems;
  return [
    ...problems,
    ...theDevices(orders, copy),
    ...thePort(orders, copy, seen),
    ...theDisplay(orders, copy, seen),
    ...theDisks(orders, copy, from),
    ...theContents(orders, seen, copy),
  ];
}

function theDevices(orders: Orders, copy: SeenCopy): string[] {
  const has = (id: string): boolean => copy.devices.includes(id);
  const missing = [...orders.devices].filter((id) => !has(id));
  const back = [...orders.gone].filter(has);
  const stopped = [...orders.jobs].filter((id) => !copy.jobs.includes(id));
  return [
    ...missing.map((id) => `the device ${id} is missing at ${copy.host}`),
    ...back.map((id) => `the device ${id} is back at ${copy.host}`),
    ...stopped.map((id) => `the job ${id} of the owner is gone at ${copy.host}`),
    ...wrong('the medium', orders.medium, copy.medium),
    ...wrong('the number of processors', orders.processors, copy.processors),
  ];
}

function thePort(
  orders: Orders,
  { port, host }: SeenCopy,
  { warnings }: PlayObservation,
): string[] {
  const warned = (word: RegExp): boolean => warnings.some((each) => word.test(each));
  const settings = PORT_SETTINGS.filter((name) => !warned(WARNINGS[name]));
  return [
    ...settings.flatMap((name) =>
      wrong(`the setting ${name} of the port`, orders.port[name], port?.[name]),
    ),
    ...(warned(/br1/) ? [] : wrong(`the bridge at ${host}`, orders.bridge, port?.bridge)),
  ];
}

/** The display is left behind, so its password is as well: the report has to warn of it. */
function theDisplay({ hasPassword }: Orders, { host }: SeenCopy, seen: PlayObservation): string[] {
  if (!hasPassword || host === seen.from) return [];
  if (seen.warnings.some((each) => /-vnc/.test(each))) return [];
  return ['the password of the display is gone, and the report does not warn of the display'];
}

function theDisks(orders: Orders, copy: SeenCopy, from: string): string[] {
  return Object.entries(orders.disks).flatMap(([id, disk]) => {
    const now = copy.disks.find((each) => each.id === id);
    // An order to unplug it may have been obeyed since.
    if (now === undefined)
      return orders.devices.has(id) ? [`the disk ${id} is missing at ${copy.host}`] : [];
    // A copied disk is another file there: the guest reads its contents.
    const isCopied = copy.host !== from && !disk.isShared;
    return [
      ...wrong(`the size of ${id}`, disk.bytes, now.bytes),
      ...wrong(`the limit of ${id}`, disk.limits, now.limit),
      ...(isCopied ? [] : wrong(`the image of ${id} (${now.file})`, disk.files, now.key)),
      ...(now.hasMark === false ? [`LOST BYTES: what was on ${id} before the move`] : []),
    ];
  });
}

function theContents(
  orders: Orders,
  { memory, isReachable }: PlayObservation,
  { disks }: Pick<SeenCopy, 'disks'>,
): string[] {
  if (memory === undefined) return [];
  const problems =
    isReachable === true && !orders.link.includes('up')
      ? ['the link is up, and its owner ordered it down']
      : isReachable === false && !orders.link.includes('down') && orders.mayGoDown !== true
        ? ['the guest does not answer over its link, which its owner left up']
        : [];
  if (memory === 'silent') {
    return orders.mayGoDown === true ? problems : [...problems, 'the guest does not answer'];
  }
  // A guest cannot read a disk that was unplugged.
  const isThere = (id: string): boolean => disks.some((each) => each.id === id);
  const hasAllDisks =
    ![...orders.gone].some((id) => /^(virtio-)?disk\d/.test(id)) &&
    Object.keys(orders.disks).every(isThere);
  const isOfDisks = memory.badChunks === 0 && memory.badDiskChunks > 0;
  if (!memory.ok && (hasAllDisks || !isOfDisks)) {
    const chunks = `${memory.badDiskChunks} chunks of its disks`;
    problems.push(`LOST BYTES: ${isOfDisks ? chunks : 'its memory'}`);
  }
  if (memory.diskErrors > 0 && hasAllDisks) {
    problems.push(`its disks refused ${memory.diskErrors} writes`);
  }
  if (!memory.isSameBoot && !orders.isRebooted) problems.push('the guest was started again');
  return problems;
}

function wrong<T>(what: string, right: readonly T[], now: T | undefined): string[] {
  if (now !== undefined && right.includes(now)) return [];
  return [`${what} is ${String(now)}, and its owner left ${right.map(String).join(' or ')}`];
}
