import path from 'node:path';
import { godwitError, type GodwitError } from '../../../errors.ts';
import type { CopiedDisk } from '../../../migration/managed/task-sight.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import { formatBytes } from '../../../protocol/quantity.ts';
import { managerPass, managerRefusal } from '../../../port/manager-checks.ts';
import { whereItLies, whyNotCopied } from '../check.ts';
import type { Domain, LibvirtClient } from '../client.ts';
import type { DomainDisk, DomainFacts } from '../domain-xml.ts';
import { diskSizes, poolAt, refresh, room, volume, type Pool } from './volumes.ts';

/** Disks to copy and their places at the destination. Creates nothing. */

export interface CopyPlan {
  readonly copies: readonly CopiedDisk[];
  readonly checks: readonly Check[];
}

interface CopyQuery {
  readonly facts: DomainFacts;
  readonly domain: Domain;
  readonly here: LibvirtClient;
  readonly there: LibvirtClient;
  readonly to: string;
}

/** Free bytes of each pool after the disks placed so far. */
type Rooms = Map<string, number>;

export async function planCopies(asked: CopyQuery, signal: AbortSignal): Promise<CopyPlan> {
  const copies: CopiedDisk[] = [];
  const checks: Check[] = [];
  const rooms: Rooms = new Map();
  for (const disk of asked.facts.disks) {
    if (disk.kind !== 'file' || disk.source === '' || !disk.isWritten) continue;
    if (whyNotCopied(disk) !== undefined) continue;
    const found = await placeOf(asked, disk, rooms, signal);
    if (found === undefined) continue;
    if ('refusal' in found) checks.push(managerRefusal('copies', 'destination', found.refusal));
    else {
      copies.push(found);
      const size = formatBytes(found.sizeBytes);
      const evidence = `${disk.name} (${size}) is copied into pool ${found.place} of ${asked.to}`;
      checks.push(managerPass('copies', 'destination', evidence));
    }
  }
  return { copies, checks };
}

/** Undefined for a disk that is not copied. */
async function placeOf(
  { facts, domain, here, there, to }: CopyQuery,
  { name: device, source: file, format }: DomainDisk,
  rooms: Rooms,
  signal: AbortSignal,
): Promise<CopiedDisk | { readonly refusal: GodwitError } | undefined> {
  const lies = await whereItLies(file);
  if (lies.is === 'elsewhere') return undefined;
  const pool = await poolAt(there, path.dirname(file), signal);
  const about = { host: to, device, guest: facts.name };
  if (pool === undefined) {
    // A file that Godwit does not see is checked by libvirt.
    return lies.is === 'unseen' ? undefined : { refusal: noPool(about, path.dirname(file)) };
  }
  await refresh(there, pool, signal);
  if ((await volume(there, pool, path.basename(file), signal)) !== undefined) {
    // A file that exists on both hosts may be on shared storage.
    return lies.is === 'unseen' ? undefined : { refusal: isThere(about, pool, file) };
  }
  const { capacity, allocation } = await diskSizes(here, domain, device, signal);
  const free = rooms.get(pool.uuid) ?? (await room(there, pool, signal));
  if (allocation > free) {
    const sizes = { needed: formatBytes(allocation), free: formatBytes(free) };
    const hint = `Free room in pool ${pool.name} of {host}.`;
    return { refusal: godwitError('GODWIT_DISK_SPACE', { ...about, ...sizes }, { hint }) };
  }
  rooms.set(pool.uuid, free - allocation);
  return { name: device, file, format, sizeBytes: capacity, place: pool.name };
}

interface About {
  readonly host: string;
  readonly device: string;
  readonly guest: string;
}

function noPool(about: About, directory: string): GodwitError {
  const reason = `no active storage pool of libvirt there has the directory ${directory}`;
  const hint =
    'At {host}: `virsh pool-define-as NAME dir --target DIRECTORY`, then `virsh pool-start NAME --build`.';
  return godwitError('GODWIT_DISK_PLACE', { ...about, reason }, { hint });
}

/** The operator frees the name of a volume without a loss. */
export const ASIDE =
  'To free the name for another move, rename the file (`mv FILE FILE.kept`), then run `virsh pool-refresh POOL`.';

export function isThere(about: About, pool: Pick<Pool, 'name'>, file: string): GodwitError {
  const reason = `pool ${pool.name} there has a volume ${path.basename(file)} already`;
  const hint = `Nothing is written over it. It may hold the only copy of data that a guest wrote there in an earlier move. ${ASIDE}`;
  return godwitError('GODWIT_DISK_PLACE', { ...about, reason }, { hint });
}
