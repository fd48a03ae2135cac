/** How the owner performs each operation: by a monitor of its own, and by commands on the host. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as onHost from './host-hands.ts';
import type { At, Disk, HandResult, Hand, Hands } from './owner.ts';
import { isOfDisk, type OperationKind } from './plan.ts';
import type { Qmp } from './qmp.ts';
import { VIRSH_HANDS } from './virsh-hands.ts';
import { deviceId, fileKey, fileOf, type Block } from './witness.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const GROWN_BYTES = 8 * MIB;
const LIMIT = 64 * MIB;
const JOB_RATE = MIB / 4;
const JOB_MS = 3000;
const UNPLUG_MS = 3000;
const STARVE_MS = 5000;
const LOOK_MS = 20;

async function disksOf(monitor: Qmp): Promise<Disk[]> {
  const blocks = (await monitor.ask('query-block')) as Block[];
  return blocks.flatMap(({ removable, inserted, qdev }) => {
    if (removable || inserted === undefined) return [];
    const { image } = inserted;
    return [
      {
        id: deviceId(qdev),
        node: inserted['node-name'] ?? '',
        file: fileOf(inserted),
        backing: image?.['backing-filename'],
        bytes: image?.['virtual-size'] ?? 0,
      },
    ];
  });
}

/** Performs an operation; rejects with the reason why it is not possible now. */
export async function perform(at: At, kind: OperationKind, pick: number): Promise<HandResult> {
  const disks = isOfDisk(kind) ? await disksOf(at.monitor) : [];
  const possible = disks.filter((each) => isFor(at, kind, each));
  // A copy has more to lose by another writer than a disk that both hosts see.
  const local = kind.startsWith('second-') ? possible.filter((each) => isLocal(at, each)) : [];
  const wanted = local.length > 0 ? local : possible;
  const disk = wanted[pick % Math.max(1, wanted.length)];
  if (disk === undefined && isOfDisk(kind)) throw new Error('there is no such disk');
  const isOnHost = HOST_KINDS.has(kind);
  const hand = at.hands.manage === undefined || isOnHost ? HANDS[kind] : VIRSH_HANDS[kind];
  if (hand === undefined) throw new Error('the owner of a guest of libvirt gives no such order');
  return hand(at, disk ?? NO_DISK);
}

/** The same whoever manages the guest. */
const HOST_KINDS: ReadonlySet<OperationKind> = new Set([
  'replace-image',
  'second-user',
  'isolate-port',
  'unflood-port',
  'limit-port',
  'move-port',
]);

function isLocal({ host, hands }: At, { file }: Disk): boolean {
  return hands.fileOn(host, file).startsWith(`${hands.storage[host]}/`);
}

function isFor(at: At, kind: OperationKind, disk: Disk): boolean {
  const { id, file } = disk;
  if (kind === 'unplug-disk') return !FIRST_DISKS.has(id);
  // Two guests cannot write to one image of another format.
  if (kind === 'second-guest') return file.endsWith('.raw');
  return kind !== 'starve-disk' || isLocal(at, disk);
}

const FIRST_DISKS = new Set(['disk0-dev', 'virtio-disk0']);
const NO_DISK: Disk = { id: '', node: '', file: '', backing: undefined, bytes: 0 };

const snapshot: Hand = async ({ monitor, number }, { id, node, file }) => {
  const over = `${file}.over${number}`;
  const words = { 'node-name': node, 'snapshot-file': over, format: 'qcow2' };
  await monitor.ask('blockdev-snapshot-sync', { ...words, 'snapshot-node-name': `over${number}` });
  return { id, file: over, key: fileKey(over) };
};

/** An overlay is written back to the image below it, which is in use again then. */
const commit: Hand = async ({ monitor, number }, { id, node, backing }) => {
  if (backing === undefined) throw new Error('it has no snapshot');
  const job = `commit${number}`;
  await monitor.ask('block-commit', { 'job-id': job, device: node });
  await untilJob(monitor, job, 'ready');
  await monitor.ask('block-job-complete', { device: job });
  const isPending = await untilJob(monitor, job, undefined).then(
    () => false,
    () => true,
  );
  return { id, file: backing, key: fileKey(backing), isPending };
};

async function untilJob(monitor: Qmp, id: string, status: string | undefined): Promise<void> {
  for (let left = JOB_MS; left > 0; left -= LOOK_MS) {
    const jobs = (await monitor.ask('query-jobs')) as { id: string; status: string }[];
    if (jobs.find((each) => each.id === id)?.status === status) return;
    await sleep(LOOK_MS);
  }
  throw new Error(`the job ${id} does not become ${status ?? 'done'}`);
}

const copyJob =
  (command: string, extra: Record<string, unknown>): Hand =>
  async ({ monitor, number, hands }, { node }) => {
    const id = `owner${number}`;
    const target = `${hands.own}/${command}${number}.raw`;
    const words = { 'job-id': id, device: node, target, sync: 'full', format: 'raw' };
    await monitor.ask(command, { ...words, speed: JOB_RATE, ...extra });
    return { id };
  };

const medium =
  (file: (hands: Hands) => string): Hand =>
  async ({ monitor, hands }) => {
    const filename = file(hands);
    const words = { id: 'cd0-dev', filename, format: 'raw', 'read-only-mode': 'read-only' };
    await monitor.ask('blockdev-change-medium', words);
    return { file: filename };
  };

const eject: Hand = async ({ monitor }) => {
  await monitor.ask('blockdev-open-tray', { id: 'cd0-dev', force: true });
  await monitor.ask('blockdev-remove-medium', { id: 'cd0-dev' });
  return {};
};

const plugDisk: Hand = async ({ monitor, number, hands }) => {
  const file = `${hands.own}/plugged${number}.raw`;
  await run('truncate', ['-s', '8M', file]);
  const node = `plugged${number}`;
  const below = { driver: 'file', filename: file };
  await monitor.ask('blockdev-add', { driver: 'raw', 'node-name': node, file: below });
  const id = `${node}-dev`;
  await monitor.ask('device_add', { driver: 'virtio-blk-pci', id, drive: node });
  return { id };
};

const unplug = async (monitor: Qmp, id: string): Promise<HandResult> => {
  await monitor.ask('device_del', { id });
  for (let left = UNPLUG_MS; left > 0; left -= LOOK_MS) {
    const all = (await monitor.ask('qom-list', { path: '/machine/peripheral' })) as {
      name: string;
    }[];
    if (!all.some(({ name }) => name === id)) return { id };
    await sleep(LOOK_MS);
  }
  return { id, isPending: true };
};

const plugNic: Hand = async ({ monitor, host, number, hands }) => {
  const tap = `mtap${number}`;
  const namespace = hands.namespaces[host] ?? '';
  await run('ip', ['-n', namespace, 'tuntap', 'add', 'dev', tap, 'mode', 'tap']);
  hands.later(() => run('ip', ['-n', namespace, 'link', 'del', tap]));
  await run('ip', ['-n', namespace, 'link', 'set', tap, 'master', 'br0', 'up']);
  const netdev = `own${number}`;
  const words = { type: 'tap', id: netdev, ifname: tap, script: 'no', downscript: 'no' };
  await monitor.ask('netdev_add', words);
  const id = `${netdev}-nic`;
  const mac = `52:54:00:d0:00:0${number}`;
  await monitor.ask('device_add', { driver: 'virtio-net-pci', id, netdev, mac, romfile: '' });
  return { id };
};

const plugProcessor: Hand = async ({ monitor, number }) => {
  const slots = (await monitor.ask('query-hotpluggable-cpus')) as {
    type: string;
    'qom-path'?: string;
    props: Record<string, number>;
  }[];
  const free = slots.find((slot) => slot['qom-path'] === undefined);
  if (free === undefined) throw new Error('it has no room for another processor');
  await monitor.ask('device_add', { driver: free.type, id: `cpu${number}`, ...free.props });
  return { value: ((await monitor.ask('query-cpus-fast')) as unknown[]).length };
};

const limit: Hand = async ({ monitor }, { id }) => {
  const none = { bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
  await monitor.ask('block_set_io_throttle', {
    id: `/machine/peripheral/${id}/virtio-backend`,
    bps: LIMIT,
    ...none,
  });
  return { id, value: LIMIT };
};

const link =
  (up: boolean): Hand =>
  async ({ monitor }) => {
    await monitor.ask('set_link', { name: 'nic0', up });
    return {};
  };

/** A snapshot takes the writes, and then there is no room for what it takes. */
const starve: Hand = async (at, disk) => {
  const { monitor, host, hands } = at;
  const over = await snapshot(at, disk);
  await onHost.fill(hands, host);
  for (let left = STARVE_MS; left > 0; left -= LOOK_MS) {
    const { status } = (await monitor.ask('query-status')) as { status: string };
    if (status === 'io-error') return over;
    await sleep(LOOK_MS);
  }
  return { ...over, isPending: true };
};

const order =
  (command: string, args: Record<string, unknown> = {}): Hand =>
  async ({ monitor }) => {
    await monitor.ask(command, args);
    return {};
  };

const CTRL_ALT_DELETE = ['ctrl', 'alt', 'delete'].map((data) => ({ type: 'qcode', data }));

const HANDS: Readonly<Record<OperationKind, Hand>> = {
  snapshot,
  commit,
  resize: async ({ monitor }, { id, node, bytes }) => {
    const size = bytes + GROWN_BYTES;
    await monitor.ask('block_resize', { 'node-name': node, size });
    return { id, value: size };
  },
  'change-medium': medium(({ otherMedium }) => otherMedium),
  'eject-medium': eject,
  'plug-disk': plugDisk,
  'unplug-disk': ({ monitor }, { id }) => unplug(monitor, id),
  'plug-nic': plugNic,
  'unplug-nic': ({ monitor, orders }) => {
    const nic = [...orders.devices].find((id) => id.endsWith('-nic'));
    if (nic === undefined) throw new Error('it has no NIC but the one that it is asked over');
    return unplug(monitor, nic);
  },
  'plug-cpu': plugProcessor,
  backup: copyJob('drive-backup', {}),
  mirror: copyJob('drive-mirror', {}),
  pause: order('stop'),
  resume: order('cont'),
  shutdown: order('system_powerdown'),
  reboot: order('send-key', { keys: CTRL_ALT_DELETE }),
  reset: order('system_reset'),
  quit: order('quit'),
  'link-down': link(false),
  'link-up': link(true),
  'limit-disk': limit,
  balloon: order('balloon', { value: 120 * MIB }),
  'isolate-port': onHost.isolatePort,
  'unflood-port': onHost.unfloodPort,
  'limit-port': onHost.limitPort,
  'move-port': onHost.movePort,
  password: order('set_password', { protocol: 'vnc', password: 'meddle' }),
  'replace-image': onHost.replace,
  'second-user': onHost.secondUser,
  'second-guest': onHost.secondGuest,
  'fill-source': ({ hands }) => onHost.fill(hands, hands.from),
  'fill-destination': ({ hands }) => onHost.fill(hands, hands.to),
  'starve-disk': starve,
};

/** Removes what the owner made on the hosts. */
export function sweep(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
