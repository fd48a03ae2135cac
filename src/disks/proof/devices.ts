import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { DeviceAnswer, DeviceProof } from '../../protocol/disk.ts';
import type { Found, Located, Pool } from './pools.ts';

/**
 * Block devices that hold guests' disks, and the proof that two hosts see the same one. Nothing is written for it: a
 * guest may be at work there. What a device is, its kernel says (`/sys/dev/block`); what it holds is sampled.
 */

export interface DeviceConfig {
  /** A directory with names of block devices. */
  readonly devices: string;
}

/** Names in one directory that are looked at. */
const MOST_NAMES = 4096;
/** A device may lie on others (multipath, volumes on volumes) so deep, and on so many. */
const DEEPEST = 8;
const MOST_IDS = 64;
const SAMPLES = 64;
const SAMPLE_BYTES = 4096;
/** Of the samples, that a guest at work may have written to between two readings. */
const MOST_CHANGED = SAMPLES / 2;
const OTHER = 'the device of the same ids holds something else there';
const SYS = '/sys/dev/block';

/** The directories of devices that are there. */
export async function openDevicePools(
  storage: readonly (DeviceConfig | object)[],
): Promise<Pool[]> {
  const pools: Pool[] = [];
  for (const each of storage) {
    if (!('devices' in each)) continue;
    const root = await realpath(each.devices).catch(() => undefined);
    if (root === undefined || pools.some((pool) => pool.root === root)) continue;
    const id = createHash('sha256').update(`devices ${root}`).digest('hex').slice(0, 16);
    pools.push({ id, root });
  }
  return pools;
}

export async function isBlockDevice(file: string): Promise<boolean> {
  return stat(file).then(
    (info) => info.isBlockDevice(),
    () => false,
  );
}

/** By which name of which directory a device of this host may be used; its own name first, since it may have several. */
export async function locateDevice(pools: readonly Pool[], file: string): Promise<Found<Located>> {
  const { rdev } = await stat(file);
  const own = path.basename(file);
  for (const pool of pools) {
    const names = await readdir(pool.root).catch(() => []);
    const sorted = names.toSorted((one, other) => Number(other === own) - Number(one === own));
    for (const name of sorted.slice(0, MOST_NAMES)) {
      const info = await stat(path.join(pool.root, name)).catch(() => undefined);
      if (info?.isBlockDevice() === true && info.rdev === rdev) {
        return { found: { pool, path: name } };
      }
    }
  }
  if (pools.length === 0)
    return { problem: 'it is a block device, and `storage` names no `devices`' };
  const where = pools.map(({ root }) => root).join(', ');
  return { problem: `none of the \`devices\` of \`storage\` is it (${where})` };
}

/** The device behind a name, without links, which nothing else of this host has claimed. */
export async function resolveDevice(pool: Pool, name: string): Promise<Found<string>> {
  if (name.includes('/')) return { problem: 'it is no name of a device' };
  const real = await realpath(path.join(pool.root, name)).catch(() => undefined);
  if (real === undefined) return { problem: 'there is no such device' };
  if (!(await isBlockDevice(real))) return { problem: 'it is not a block device' };
  const claimed = await whyClaimed(real);
  return claimed === undefined ? { found: real } : { problem: claimed };
}

/** A file system, a volume group or an array of this host's own; the kernel tells, without a write. */
async function whyClaimed(file: string): Promise<string | undefined> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK);
    await handle.close();
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'EBUSY'
      ? 'this host itself uses it (it is mounted, or part of another)'
      : message;
  }
}

/** What a device of this host is, by ids that its hardware has. */
export interface Identity {
  readonly bytes: number;
  /** Of the hardware below it, and of what lies between: sorted, each once. Empty: nothing tells. */
  readonly ids: readonly string[];
}

/** `sys`: where the kernel tells of block devices by number. */
export async function identityOf(file: string, sys = SYS): Promise<Identity> {
  const { rdev } = await stat(file);
  const number = numberOf(rdev);
  const blocks = await readNumber(path.join(sys, number, 'size'));
  const ids = await idsOf(path.join(sys, number), 0);
  // Without an id of its hardware nothing tells it from a copy of it.
  const proves = ids.some((id) => /^(wwid|serial|kernel) /.test(id));
  return {
    bytes: blocks * 512,
    ids: proves ? [...new Set(ids)].toSorted().slice(0, MOST_IDS) : [],
  };
}

/** As the kernel numbers a device (`man makedev`). Pure. */
export function numberOf(rdev: number): string {
  const number = BigInt(rdev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & ~0xffn);
  return `${major}:${minor & 0xffff_ffffn}`;
}

async function idsOf(at: string, depth: number): Promise<string[]> {
  if (depth > DEEPEST) return [];
  const real = await realpath(at);
  const text = (name: string): Promise<string> =>
    readFile(path.join(real, name), 'utf8').then(
      (told) => told.trim().slice(0, 256),
      () => '',
    );
  const part = await text('partition');
  if (part !== '') {
    const whole = await idsOf(path.dirname(real), depth + 1);
    return [...whole, `part ${await text('start')} ${await text('size')}`];
  }
  const uuid = await text('dm/uuid');
  const below = await readdir(path.join(real, 'slaves')).catch(() => []);
  if (below.length > 0) {
    const found = await Promise.all(
      below.slice(0, MOST_IDS).map((name) => idsOf(path.join(real, 'slaves', name), depth + 1)),
    );
    // A multipath device is what each of its paths is: the other host may have one path, or names of its own.
    const own = uuid === '' || uuid.startsWith('mpath-') ? [] : [`dm ${uuid}`];
    return [...found.flat(), ...own];
  }
  const wwid = (await text('wwid')) || (await text('device/wwid'));
  if (wwid !== '') return [`wwid ${wwid}`];
  const serial = (await text('serial')) || (await text('device/serial'));
  if (serial !== '') return [`serial ${serial}`];
  // Two hosts on one kernel (containers) see one device under one number.
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const number = (await text('dev')) || path.basename(real);
  return boot === '' ? [] : [`kernel ${boot.trim()} ${number}`];
}

async function readNumber(file: string): Promise<number> {
  return Number((await readFile(file, 'utf8')).trim());
}

/** Where samples are taken, bytes: the first and the last piece, and places that only the nonce says. Pure. */
export function samplePlaces(bytes: number, nonce: string): number[] {
  const pieces = Math.floor(bytes / SAMPLE_BYTES);
  if (pieces === 0) return [];
  return Array.from({ length: SAMPLES }, (_, index) => {
    if (index === 0) return 0;
    if (index === 1) return (pieces - 1) * SAMPLE_BYTES;
    const hash = createHash('sha256').update(`${nonce} ${index}`).digest();
    return Number(hash.readBigUInt64BE(0) % BigInt(pieces)) * SAMPLE_BYTES;
  });
}

/** Sums of the samples. What this host's cache has of it is written first; it changes nothing. */
export async function sampleDevice(
  file: string,
  nonce: string,
  signal: AbortSignal,
): Promise<string[]> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { bytes } = await identityOf(file);
    await handle.datasync();
    const sums: string[] = [];
    const piece = Buffer.alloc(SAMPLE_BYTES);
    for (const at of samplePlaces(bytes, nonce)) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(piece, 0, SAMPLE_BYTES, at);
      const read = piece.subarray(0, bytesRead);
      sums.push(createHash('sha256').update(nonce).update(read).digest('hex').slice(0, 16));
    }
    return sums;
  } finally {
    await handle.close();
  }
}

/**
 * The destination's answer: which of its devices it is. A host that only says the ids of a device gets nothing of it: it
 * has to tell first what it reads, in the places that `challenge` says.
 */
export async function answerDevice(
  pools: readonly Pool[],
  { ids, bytes, samples: theirs }: DeviceProof,
  challenge: string,
  signal: AbortSignal,
): Promise<DeviceAnswer> {
  for (const pool of pools) {
    const names = await readdir(pool.root).catch(() => []);
    for (const name of names.slice(0, MOST_NAMES)) {
      signal.throwIfAborted();
      const file = await realpath(path.join(pool.root, name)).catch(() => '');
      if (!(await isBlockDevice(file))) continue;
      const own = await identityOf(file).catch(() => undefined);
      if (own === undefined || own.ids.length === 0 || !isSame(own.ids, ids)) continue;
      if (theirs === undefined) return { challenge };
      if (own.bytes !== bytes) {
        return { problem: `a device has its ids, and ${own.bytes} bytes in place of ${bytes}` };
      }
      const usable = await resolveDevice(pool, name);
      if ('problem' in usable) return { problem: `${name}: ${usable.problem}` };
      const samples = await sampleDevice(usable.found, challenge, signal);
      const equal = samples.filter((sum, index) => sum === theirs[index]).length;
      if (equal < SAMPLES - MOST_CHANGED) return { problem: OTHER };
      return { pool: pool.id, path: name, samples };
    }
  }
  return {};
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((each, index) => each === others[index]);
}

/** Whether both hosts read the same: what the source reads twice alike, the destination has read so between. Pure. */
export function judgeSamples(
  before: readonly string[],
  there: readonly string[],
  after: readonly string[],
): { readonly same: true } | { readonly same: false; readonly why: string } {
  const still = before.flatMap((sum, index) => (sum === after[index] ? [index] : []));
  if (there.length !== before.length || before.length !== after.length || before.length === 0) {
    return { same: false, why: 'it was not read there in the same places' };
  }
  const other = still.filter((index) => there[index] !== before[index]).length;
  if (other > 0) {
    return {
      same: false,
      why: `${OTHER} (${other} of ${still.length} samples)`,
    };
  }
  if (before.length - still.length > MOST_CHANGED) {
    return {
      same: false,
      why: 'the guest writes to it so fast that nothing of it can be compared',
    };
  }
  return { same: true };
}
