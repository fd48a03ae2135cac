import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { DeviceAnswer, DeviceProof } from '../../protocol/disk.ts';
import { judgeReported, sampleDevice, type SampleEnds } from './device-samples.ts';
import type { LookupResult, ImageLocation, Pool } from './pools.ts';

/**
 * Identifies block devices of guests' disks, and checks that two hosts see the same one. Nothing is written, because
 * a guest may use it. Kernel data (`/sys/dev/block`) identifies a device, and samples identify its content
 * (device-samples.ts).
 */

export interface DeviceConfig {
  readonly devices: string;
}

const MAX_NAMES = 4096;
/** Maximum depth and number of devices below a device (multipath, stacked volumes). */
const DEEPEST = 8;
const MAX_IDS = 64;
const SYS = '/sys/dev/block';

export async function openDevicePools(
  storage: readonly (DeviceConfig | object)[],
): Promise<Pool[]> {
  const pools: Pool[] = [];
  for (const each of storage) {
    if (!('devices' in each)) continue;
    const root = await realpath(each.devices).catch(() => undefined);
    if (root === undefined || pools.some((pool) => pool.root === root)) continue;
    pools.push({ id: poolOf(root), root });
  }
  return pools;
}

function poolOf(root: string): string {
  return createHash('sha256').update(`devices ${root}`).digest('hex').slice(0, 16);
}

export async function isBlockDevice(file: string): Promise<boolean> {
  return stat(file).then(
    (info) => info.isBlockDevice(),
    () => false,
  );
}

/** Permitted names of a device of this host; its own name first. */
export async function locateDevice(
  pools: readonly Pool[],
  file: string,
): Promise<LookupResult<ImageLocation>> {
  const { rdev } = await stat(file);
  const own = path.basename(file);
  for (const pool of pools) {
    const names = await readdir(pool.root).catch(() => []);
    const sorted = names.toSorted((one, other) => Number(other === own) - Number(one === own));
    for (const name of sorted.slice(0, MAX_NAMES)) {
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

/** Real device behind a name, if nothing else on this host claims it. */
export async function resolveDevice(pool: Pool, name: string): Promise<LookupResult<string>> {
  if (name.includes('/')) return { problem: 'it is no name of a device' };
  const real = await realpath(path.join(pool.root, name)).catch(() => undefined);
  if (real === undefined) return { problem: 'there is no such device' };
  if (!(await isBlockDevice(real))) return { problem: 'it is not a block device' };
  const claimed = await whyClaimed(real);
  return claimed === undefined ? { found: real } : { problem: claimed };
}

/** Claimed by a mounted file system, a volume group or an array, according to the kernel. */
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

export interface Identity {
  readonly bytes: number;
  /** Ids of the hardware and the layers above it, sorted and unique. Empty: unknown. */
  readonly ids: readonly string[];
}

/** `sys`: the kernel's directory of block devices by number. */
export async function identityOf(file: string, sys = SYS): Promise<Identity> {
  const { rdev } = await stat(file);
  const number = numberOf(rdev);
  const blocks = await readNumber(path.join(sys, number, 'size'));
  const ids = await idsOf(path.join(sys, number), 0);
  // Without a hardware id, a copy could not be told apart.
  const proves = ids.some((id) => /^(wwid|serial|kernel) /.test(id));
  return {
    bytes: blocks * 512,
    ids: proves ? [...new Set(ids)].toSorted().slice(0, MAX_IDS) : [],
  };
}

/** Device number in the kernel's form (`man makedev`). Pure. */
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
      (reported) => reported.trim().slice(0, 256),
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
      below.slice(0, MAX_IDS).map((name) => idsOf(path.join(real, 'slaves', name), depth + 1)),
    );
    // A multipath device is identified by its paths; the other host may have other names.
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

/**
 * Identity of a device on this host until it reboots: number, sequence number, ids and size. Undefined without such a
 * device.
 */
export async function stampOf(pool: Pool, name: string): Promise<string | undefined> {
  if (name.includes('/')) return undefined;
  const real = await realpath(path.join(pool.root, name)).catch(() => '');
  const info = await stat(real).catch(() => undefined);
  if (info?.isBlockDevice() !== true) return undefined;
  const identity = await identityOf(real).catch(() => undefined);
  if (identity === undefined) return undefined;
  const at = await realpath(path.join(SYS, numberOf(info.rdev)));
  // Sequence number of the disk, for its partitions as well; kernels before 5.15 have none.
  const sequence = (directory: string): Promise<string> =>
    readFile(path.join(directory, 'diskseq'), 'utf8').catch(() => '');
  const turn = (await sequence(at)) || (await sequence(path.dirname(at)));
  return JSON.stringify([info.rdev, turn.trim(), identity.bytes, identity.ids]);
}

/** The source's facts about a device, and the destination's question. */
export interface DeviceQuestion extends SampleEnds {
  readonly asked: DeviceProof;
  readonly challenge: string;
}

/** `stamp`: identity of the device, only with a place; stays on this host. */
export type OwnAnswer = DeviceAnswer & { readonly stamp?: string };

/**
 * The destination's answer: its matching device. A host that only knows a device's ids learns nothing about it; it
 * must first report its content at the places of `challenge`.
 */
export async function answerDevice(
  pools: readonly Pool[],
  question: DeviceQuestion,
  signal: AbortSignal,
): Promise<OwnAnswer> {
  const { ids, at } = question.asked;
  if (at === undefined) return answerLike(await devicesLike(pools, ids, signal), question, signal);
  // The directory need not be in this host's `devices`, because the manager opens it.
  const there = { id: poolOf(path.dirname(at)), root: path.dirname(at) };
  const like = await deviceLike(there, path.basename(at), ids);
  return { ...(await answerLike(like === undefined ? [] : [like], question, signal)), at: true };
}

async function answerLike(
  found: readonly Like[],
  { asked, ...question }: DeviceQuestion,
  signal: AbortSignal,
): Promise<OwnAnswer> {
  const { bytes, samples: theirs } = asked;
  if (found.length === 0) return {};
  if (theirs === undefined) return { challenge: question.challenge };
  const usable: Like[] = [];
  for (const each of found) if ((await whyClaimed(each.file)) === undefined) usable.push(each);
  // Paths of a multipath device share its ids; two usable devices are ambiguous.
  if (new Set(usable.map(({ stamp }) => stamp)).size > 1) {
    return { problem: 'several devices have its ids, so they do not identify it' };
  }
  const [like] = [...usable, ...found];
  if (like === undefined) return {};
  if (like.bytes !== bytes) return { problem: 'the device of the same ids has another size' };
  const own = await sampleDevice(like.file, { ...question, device: asked }, signal);
  const reported = judgeReported(own, theirs);
  if (!reported.same) return { problem: reported.why };
  if ((await stampOf(like.pool, like.name)) !== like.stamp) {
    return { problem: 'its name became another device while it was read' };
  }
  const claimed = await whyClaimed(like.file);
  if (claimed !== undefined) return { problem: `${like.name}: ${claimed}` };
  const samples = own.map(({ sum }) => sum);
  return { pool: like.pool.id, path: like.name, samples, stamp: like.stamp };
}

interface Like {
  readonly pool: Pool;
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  readonly stamp: string;
}

async function devicesLike(
  pools: readonly Pool[],
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Like[]> {
  const found: Like[] = [];
  for (const pool of pools) {
    const names = await readdir(pool.root).catch(() => []);
    for (const name of names.slice(0, MAX_NAMES)) {
      signal.throwIfAborted();
      const like = await deviceLike(pool, name, ids);
      if (like !== undefined) found.push(like);
    }
  }
  return found;
}

async function deviceLike(
  pool: Pool,
  name: string,
  ids: readonly string[],
): Promise<Like | undefined> {
  const file = await realpath(path.join(pool.root, name)).catch(() => '');
  if (!(await isBlockDevice(file))) return undefined;
  const own = await identityOf(file).catch(() => undefined);
  if (own === undefined || own.ids.length === 0 || !isSame(own.ids, ids)) return undefined;
  const stamp = await stampOf(pool, name);
  return stamp === undefined ? undefined : { pool, name, file, bytes: own.bytes, stamp };
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((each, index) => each === others[index]);
}
