import type { OperationKind, Scene } from './plan.ts';

/**
 * What the owner ordered, as it must be once the move is over. Each part has the values that are right: one, or two if the
 * order came while the guest was between its hosts and nothing tells which copy took it. Pure.
 */

/** `io-error`: the owner left no room for what the guest writes, so its hypervisor stops it. */
export type RunOrder = 'running' | 'paused' | 'shut-down' | 'ended' | 'io-error';

/** Settings of the guest's first port, as its owner may set them. */
export const PORT_SETTINGS = ['isolated', 'flood', 'limited'] as const;
export type PortSettings = Readonly<Record<(typeof PORT_SETTINGS)[number], boolean>>;

/** A file as its host knows it, whatever its path is. */
export type FileKey = string;

export interface DiskOrder {
  /** The images that the guest may write to: `dev:ino` at the host where the order was given. */
  readonly files: readonly FileKey[];
  readonly bytes: readonly number[];
  /** Both hosts see it. */
  readonly isShared: boolean;
  /** Bytes/s; 0: no limit. */
  readonly limits: readonly number[];
}

export interface Orders {
  readonly run: readonly RunOrder[];
  /** Disks by the id of their device. */
  readonly disks: Readonly<Record<string, DiskOrder>>;
  /** Of the CD drive; empty: no medium. */
  readonly medium: readonly string[];
  /** Devices that must be there, and those that must not; in neither list: either is right. */
  readonly devices: ReadonlySet<string>;
  readonly gone: ReadonlySet<string>;
  readonly link: readonly ('up' | 'down')[];
  /** The bridge that its port is in. */
  readonly bridge: readonly string[];
  readonly port: Readonly<Record<keyof PortSettings, readonly boolean[]>>;
  /** A password of its display was set, which no hypervisor reports. */
  readonly hasPassword: boolean;
  readonly processors: readonly number[];
  /** Jobs that the owner began and that have not ended by themselves. */
  readonly jobs: ReadonlySet<string>;
  /** The guest was started again, so its memory is another. */
  readonly isRebooted: boolean;
  /** A cold move had pressed the power button before its owner paused it: it may shut down once it is resumed. */
  readonly mayGoDown?: boolean;
}

/** What an operation came to, as the actor saw it. */
export interface Act {
  readonly kind: OperationKind;
  readonly moment: string;
  readonly atMs: number;
  /** The hypervisor or the host took the order; else why not. */
  readonly refused?: string | undefined;
  /** The guest was between its hosts: both what was and what was ordered are right. */
  readonly isBetween: boolean;
  readonly host: string;
  /** The disk, device or job that it was about. */
  readonly id?: string | undefined;
  readonly file?: string | undefined;
  readonly key?: FileKey | undefined;
  readonly value?: number | undefined;
}

type Effect = (orders: Orders, act: Act, scene: Scene) => Orders;

function either<T>(act: Act, before: readonly T[], ...now: readonly T[]): readonly T[] {
  return act.isBetween ? [...new Set([...before, ...now])] : now;
}

function onDisk(change: (disk: DiskOrder, act: Act) => Partial<DiskOrder>): Effect {
  return (orders, act) => {
    const disk = orders.disks[act.id ?? ''];
    if (disk === undefined) return orders;
    const changed = { ...disk, ...change(disk, act) };
    return { ...orders, disks: { ...orders.disks, [act.id ?? '']: changed } };
  };
}

const run =
  (to: RunOrder): Effect =>
  (orders, act) => ({
    ...orders,
    run: isUnsure(orders) ? both(orders, to) : either(act, orders.run, to),
  });

/** A guest takes a while to shut down, or to write: an order that comes meanwhile may be the one that counts. */
function isUnsure({ run: before }: Orders): boolean {
  return ['shut-down', 'ended', 'io-error'].some((each) => before.includes(each as RunOrder));
}

function both({ run: before }: Orders, ...more: readonly RunOrder[]): readonly RunOrder[] {
  return [...new Set([...before, ...more])];
}

const plug: Effect = (orders, act) => {
  const id = act.id ?? '';
  if (act.isBetween)
    return { ...orders, devices: without(orders.devices, id), gone: without(orders.gone, id) };
  return { ...orders, devices: new Set([...orders.devices, id]), gone: without(orders.gone, id) };
};

const unplug: Effect = (orders, act) => {
  const id = act.id ?? '';
  const { [id]: disk, ...disks } = orders.disks;
  const left = disk === undefined || act.isBetween ? orders.disks : disks;
  const gone = act.isBetween ? orders.gone : new Set([...orders.gone, id]);
  return { ...orders, disks: left, devices: without(orders.devices, id), gone };
};

function without(all: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return new Set([...all].filter((each) => each !== id));
}

const job: Effect = (orders, act) =>
  act.isBetween ? orders : { ...orders, jobs: new Set([...orders.jobs, act.id ?? '']) };

/** A guest that is down does not run again by a reset alone: its hypervisor then waits for an order. */
const again: Effect = (orders) => {
  const before = isUnsure(orders) ? both(orders, 'running', 'paused') : orders.run;
  return { ...orders, isRebooted: true, run: before };
};

const nothing: Effect = (orders) => orders;

/** The process of the guest ends with it, or stays. A paused guest, or one that boots, may not see its power button. */
const shutdown: Effect = (orders, act, { noShutdown, mode }) => {
  const down = noShutdown ? 'shut-down' : 'ended';
  // A cold move orders the same, and starts the guest again.
  const seesIt =
    mode !== 'cold' && !orders.isRebooted && orders.run.every((each) => each === 'running');
  return { ...orders, run: seesIt ? either(act, orders.run, down) : both(orders, down) };
};

const portSetting =
  (name: keyof PortSettings, value: boolean): Effect =>
  (orders, act) => ({
    ...orders,
    port: { ...orders.port, [name]: either(act, orders.port[name], value) },
  });

const snapshot = onDisk(({ files }, act) => ({ files: either(act, files, act.key ?? '') }));

/** A guest that does not write does not notice that there is no room. */
const starve: Effect = (orders, act, scene) => {
  const over = snapshot(orders, act, scene);
  const mayStop = act.isBetween || orders.run.some((each) => each !== 'running');
  return { ...over, run: mayStop ? both(orders, 'io-error') : ['io-error'] };
};

/** A guest with disks there stops at its first write that needs room. */
const noRoom: Effect = (orders) => {
  const isLocal = Object.values(orders.disks).some(({ isShared }) => !isShared);
  if (!isLocal || orders.run.includes('ended')) return orders;
  return { ...orders, run: both(orders, 'io-error') };
};

/** libvirt runs a guest at the destination that was suspended while its memory moved. */
const pause: Effect = (orders, act, scene) => {
  const mayResume =
    scene.driver === 'libvirt' && ['memory', 'round', 'switch'].includes(act.moment);
  if (mayResume) return { ...orders, run: both(orders, 'paused') };
  const paused = run('paused')(orders, act, scene);
  return scene.mode === 'cold' && act.moment !== 'before' ? { ...paused, mayGoDown: true } : paused;
};

const EFFECTS: Readonly<Record<OperationKind, Effect>> = {
  snapshot,
  commit: onDisk(({ files }, act) => ({ files: either(act, files, act.key ?? '') })),
  resize: onDisk(({ bytes }, act) => ({ bytes: either(act, bytes, act.value ?? 0) })),
  'limit-disk': onDisk(({ limits }, act) => ({ limits: either(act, limits, act.value ?? 0) })),
  'change-medium': (orders, act) => ({
    ...orders,
    medium: either(act, orders.medium, act.file ?? ''),
  }),
  'eject-medium': (orders, act) => ({ ...orders, medium: either(act, orders.medium, '') }),
  'plug-disk': plug,
  'unplug-disk': unplug,
  'plug-nic': plug,
  'unplug-nic': unplug,
  'plug-cpu': (orders, act) => ({
    ...orders,
    processors: either(act, orders.processors, act.value ?? 0),
  }),
  backup: job,
  mirror: job,
  pause,
  resume: run('running'),
  shutdown,
  reboot: again,
  reset: again,
  quit: run('ended'),
  'link-down': (orders, act) => ({ ...orders, link: either(act, orders.link, 'down') }),
  'link-up': (orders, act) => ({ ...orders, link: either(act, orders.link, 'up') }),
  balloon: nothing,
  'isolate-port': portSetting('isolated', true),
  'unflood-port': portSetting('flood', false),
  'limit-port': portSetting('limited', true),
  // A port that leaves a bridge loses the settings that it had there; its limit is the link's.
  'move-port': (orders, act) => ({
    ...orders,
    bridge: either(act, orders.bridge, 'br1'),
    port: {
      ...orders.port,
      isolated: either(act, orders.port.isolated, false),
      flood: either(act, orders.port.flood, true),
    },
  }),
  password: (orders) => ({ ...orders, hasPassword: true }),
  'replace-image': nothing,
  'second-user': nothing,
  'second-guest': nothing,
  'fill-source': noRoom,
  'fill-destination': noRoom,
  'starve-disk': starve,
};

/** What is right after the owner's orders; one that was refused changes nothing. */
export function obey(orders: Orders, act: Act, scene: Scene): Orders {
  return act.refused === undefined ? EFFECTS[act.kind](orders, act, scene) : orders;
}
