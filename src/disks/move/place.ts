import { stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import type { GuestDisk } from '../../port/disks.ts';
import { godwitError } from '../../errors.ts';
import { fileUsers } from '../../system/files/file-users.ts';
import { judgeUsers } from '../../migration/image-identity.ts';
import { throwRefusal } from '../../migration/preflight/check.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { below, locate, newFileIn, openPools, type NewFile, type Pool } from '../proof/pools.ts';

/** Target of a disk move: only below a directory in `storage`, and never an existing file. */

interface PlacementRequest {
  readonly guest: string;
  readonly disk: GuestDisk;
  readonly to: string;
}

/** GODWIT_DISK_FIXED if the disk itself is not in `storage`; GODWIT_DISK_PLACE, GODWIT_DISK_SPACE. Read-only. */
export async function placeFor(config: AgentConfig, asked: PlacementRequest): Promise<NewFile> {
  const { guest, disk, to } = asked;
  const pools = await openPools(config.storage);
  const at = await locate(pools, disk.file);
  if ('problem' in at) {
    const facts = { device: disk.name, guest, file: disk.file, reason: at.problem };
    throw godwitError('GODWIT_DISK_FIXED', facts);
  }
  const found = await within(config, pools, to, path.basename(disk.file));
  if ('problem' in found) {
    const reason = found.problem;
    const hint = 'Name a file that is not there yet, or a directory, below one of `storage`.';
    const facts = { host: config.name, device: disk.name, guest, reason };
    throw godwitError('GODWIT_DISK_PLACE', facts, { hint });
  }
  await mustHaveRoom(config.name, asked, found);
  return found;
}

/** GODWIT_DISK_IN_USE: another user of the old image would keep a removed file. `pid`: the guest's hypervisor. */
export async function mustBeItsOwn(
  guest: string,
  { name: device, file, identity }: GuestDisk,
  pid: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (identity === undefined) return;
  const except = pid === undefined ? [] : [pid];
  const users = await fileUsers({ identities: [identity], except }, signal);
  const image = { node: device, device, file, identity, how: 'copied' } as const;
  throwRefusal(judgeUsers(guest, [image], users));
}

async function within(
  config: AgentConfig,
  pools: readonly Pool[],
  to: string,
  name: string,
): Promise<NewFile | { readonly problem: string }> {
  const roots = pools.map(({ root }) => root).join(', ') || 'none';
  const outside = { problem: `${to} lies outside of what \`storage\` names (${roots})` };
  let wanted = to;
  if (!to.includes('/')) {
    const called = pools.filter(({ root }) => path.basename(root) === to);
    const [only] = called;
    if (only === undefined) {
      return { problem: `no directory of \`storage\` is called ${to} (${roots})` };
    }
    if (called.length > 1) return { problem: `two directories of \`storage\` are called ${to}` };
    wanted = only.root;
  }
  if (!path.isAbsolute(wanted)) return { problem: `${to} is no absolute path` };
  const isDirectory = await stat(wanted).then(
    (info) => info.isDirectory(),
    () => wanted.endsWith('/'),
  );
  const file = path.join(wanted, isDirectory ? name : '.');
  const [pool, part] = await poolOf(config, pools, file);
  if (pool === undefined || part === undefined) return outside;
  const found = await newFileIn(pool, part);
  return 'problem' in found ? found : found.found;
}

/** Innermost pool, by its configured or real path. */
async function poolOf(
  { storage }: AgentConfig,
  pools: readonly Pool[],
  file: string,
): Promise<readonly [Pool, string] | readonly []> {
  const fits: (readonly [Pool, string])[] = [];
  for (const { path: given } of storage.filter((each) => 'path' in each)) {
    const [pool] = await openPools([{ path: given }]);
    if (pool === undefined || !pools.some(({ id }) => id === pool.id)) continue;
    const part = below(pool.root, file) ?? below(path.resolve(given), file);
    if (part !== undefined) fits.push([pool, part]);
  }
  return fits.toSorted(([left], [right]) => right.root.length - left.root.length)[0] ?? [];
}

async function mustHaveRoom(
  host: string,
  { guest, disk }: PlacementRequest,
  place: NewFile,
): Promise<void> {
  const needed = disk.allocatedBytes ?? disk.bytes;
  const { bavail, bsize } = await statfs(path.dirname(place.directories[0] ?? place.file));
  if (needed <= bavail * bsize) return;
  const room = { needed: formatBytes(needed), free: formatBytes(bavail * bsize) };
  throw godwitError('GODWIT_DISK_SPACE', { host, guest, device: disk.name, ...room });
}
