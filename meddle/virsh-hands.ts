/** How the owner of a guest of libvirt performs operations: by libvirt's own client. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { At, HandResult, Hand } from './owner.ts';
import type { OperationKind } from './plan.ts';
import { fileKey } from './witness.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const GROWN_BYTES = 8 * MIB;
const LIMIT = 64 * MIB;

async function ask({ hands, host }: At, verb: string, ...words: string[]): Promise<HandResult> {
  if (hands.manage === undefined) throw new Error('nobody manages the guest');
  await hands.manage(host, [verb, hands.guest, ...words]);
  return {};
}

const order =
  (verb: string, ...words: string[]): Hand =>
  (at) =>
    ask(at, verb, ...words);

/** `vda` of `virtio-disk0`. */
function target(id: string): string {
  return `vd${'abcdefgh'[Number(id.replace('virtio-disk', ''))] ?? 'a'}`;
}

const snapshot: Hand = async (at, { id, file }) => {
  const over = `${file}.over${at.number}`;
  const others = Object.keys(at.orders.disks).filter((each) => each !== id);
  const left = others.flatMap((each) => ['--diskspec', `${target(each)},snapshot=no`]);
  const kind = ['--disk-only', '--no-metadata', '--atomic'];
  const spec = ['--diskspec', `${target(id)},file=${over}`];
  await ask(at, 'snapshot-create-as', ...kind, ...spec, ...left);
  return { id, file: over, key: fileKey(at.hands.fileOn(at.host, over)) };
};

const plugDisk: Hand = async (at) => {
  const file = path.join(at.hands.own, `plugged${at.number}.raw`);
  await run('truncate', ['-s', '8M', file]);
  const id = `virtio-disk${2 + at.number}`;
  await ask(at, 'attach-disk', file, target(id), '--live', '--subdriver', 'raw');
  return { id };
};

const link =
  (state: 'up' | 'down'): Hand =>
  (at) =>
    ask(at, 'domif-setlink', at.hands.mac, state);

/** Orders that are not here are not given to a guest of libvirt. */
export const VIRSH_HANDS: Readonly<Partial<Record<OperationKind, Hand>>> = {
  snapshot,
  resize: async (at, { id, bytes }) => {
    const size = bytes + GROWN_BYTES;
    await ask(at, 'blockresize', target(id), `${size}b`);
    return { id, value: size };
  },
  'plug-disk': plugDisk,
  'unplug-disk': async (at, { id }) => {
    await ask(at, 'detach-disk', target(id), '--live');
    return { id, isPending: true };
  },
  pause: order('suspend'),
  resume: order('resume'),
  shutdown: order('shutdown'),
  reboot: order('send-key', 'KEY_LEFTCTRL', 'KEY_LEFTALT', 'KEY_DELETE'),
  reset: order('reset'),
  quit: order('destroy'),
  'link-down': link('down'),
  'link-up': link('up'),
  'limit-disk': async (at, { id }) => {
    await ask(at, 'blkdeviotune', target(id), '--total-bytes-sec', String(LIMIT), '--live');
    return { id, value: LIMIT };
  },
  balloon: order('setmem', '122880', '--live'),
};
