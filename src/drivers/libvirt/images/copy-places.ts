import path from 'node:path';
import { godwitError } from '../../../errors.ts';
import type { CopiedDisk, ManagedOrder } from '../../../migration/managed/task-sight.ts';
import type { LibvirtClient } from '../client.ts';
import { isThere } from './copies.ts';
import type { DaemonPair } from '../daemon-pair.ts';
import { whyKept } from './open-images.ts';
import {
  createVolume,
  deleteVolume,
  poolAt,
  refresh,
  volume,
  volumeSizes,
  type Pool,
  type Volume,
} from './volumes.ts';
import { isDone } from '../two-copies.ts';
import { endAt, presence, whereabouts } from '../whereabouts.ts';

/**
 * Creates volumes at the destination for copied disks, and removes volumes at the source after the move. Before
 * the first one is created, the journal has recorded the list and that none of them existed.
 */

/** Exceeds the size of an unwritten image of a few TiB, bytes. */
const EMPTY_BYTES = 2 * 1024 ** 2;

/** Creates missing volumes. An existing volume with the expected properties is ours: only the answer was lost. */
export async function makePlaces(
  daemons: DaemonPair,
  { to, guest, copies = [] }: ManagedOrder,
  signal: AbortSignal,
): Promise<void> {
  const there = await daemons.destination(to, signal);
  for (const copy of copies) {
    const { name: device, file, format, sizeBytes } = copy;
    const pool = await poolOf(there, copy, { host: to, guest }, signal);
    const found = await volume(there, pool, path.basename(file), signal);
    if (found === undefined) {
      const wanted = { name: path.basename(file), format, sizeBytes };
      await createVolume(there, pool, wanted, signal);
    } else if (!(await isAsMade(there, found, copy, signal))) {
      throw isThere({ host: to, device, guest }, pool, file);
    }
  }
}

/** Removes the created volumes if both daemons report that the guest runs at its source. */
export async function removePlaces(
  daemons: DaemonPair,
  { to, guest, copies = [] }: ManagedOrder,
  isOrdered: boolean,
  signal: AbortSignal,
): Promise<void> {
  const there = await daemons.destination(to, signal);
  const sights = [
    await daemons.sight(daemons.source, signal),
    await daemons.sight(there, signal),
  ] as const;
  const { at, busy } = whereabouts(...sights, await daemons.isMoving(signal));
  const isGone = ['absent', 'left'].includes(presence(sights[1]));
  if (at !== 'source' || busy !== false || !isGone) {
    const reason = `not both daemons say that it is at its source alone, so its volumes at ${to} stay`;
    throw godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
  }
  // Before the order nothing has been written, so a volume with contents is not ours.
  await removeEach(there, copies, { host: to, guest, onlyEmpty: !isOrdered }, signal);
}

/**
 * Removes the source's images once both daemons report that the guest runs at the destination, or has run and
 * ended there. A file stays, and is named, if it is not the image that the guest had open or something else uses
 * it.
 */
export async function removeOriginals(
  daemons: DaemonPair,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<void> {
  const { from, to, guest, vouched, copies = [] } = order;
  const there = await daemons.destination(to, signal);
  const sights = [
    await daemons.sight(daemons.source, signal),
    await daemons.sight(there, signal),
  ] as const;
  const isGone = ['absent', 'left'].includes(presence(sights[0]));
  const end = endAt(sights[1]);
  // The operator's report does not distinguish a shutdown after the move from a much earlier one.
  const hasEnded =
    end !== undefined && (isDone(daemons, order) || (vouched === undefined && end === 'shut-down'));
  if (!isGone || (presence(sights[1]) !== 'has' && !hasEnded)) {
    const files = copies.map(({ file }) => file).join(', ');
    const reason = `not both daemons report that it is at ${to} alone, so its images at ${from} stay: ${files}`;
    throw godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
  }
  const left: string[] = [];
  const ours: CopiedDisk[] = [];
  for (const copy of copies) {
    const why = await whyKept(copy, signal);
    if (why === undefined) ours.push(copy);
    else left.push(`${copy.file} there is left to you, since ${why}`);
  }
  await removeEach(daemons.source, ours, { host: from, guest, onlyEmpty: false }, signal);
  if (left.length === 0) return;
  const facts = { hypervisor: 'libvirt', host: from, command: 'vol-delete' };
  const hint = `Look at the file and at whatever uses it. ${guest} runs at ${to} without it.`;
  throw godwitError('GODWIT_HYPERVISOR', { ...facts, reason: left.join('; ') }, { hint });
}

/** Ignores missing volumes. */
async function removeEach(
  client: LibvirtClient,
  copies: readonly CopiedDisk[],
  {
    onlyEmpty,
    ...about
  }: { readonly host: string; readonly guest: string; readonly onlyEmpty: boolean },
  signal: AbortSignal,
): Promise<void> {
  for (const copy of copies) {
    const pool = await poolOf(client, copy, about, signal);
    await refresh(client, pool, signal);
    const found = await volume(client, pool, path.basename(copy.file), signal);
    if (found === undefined) continue;
    if (onlyEmpty && !(await isAsMade(client, found, copy, signal))) continue;
    await deleteVolume(client, found, signal);
  }
}

async function poolOf(
  client: LibvirtClient,
  { name: device, file }: CopiedDisk,
  { host, guest }: { readonly host: string; readonly guest: string },
  signal: AbortSignal,
): Promise<Pool> {
  const pool = await poolAt(client, path.dirname(file), signal);
  if (pool !== undefined) return pool;
  const reason = `no active storage pool of libvirt there has the directory of ${file}`;
  throw godwitError('GODWIT_DISK_PLACE', { host, device, guest, reason });
}

async function isAsMade(
  client: LibvirtClient,
  found: Volume,
  { sizeBytes }: CopiedDisk,
  signal: AbortSignal,
): Promise<boolean> {
  const { capacity, allocation } = await volumeSizes(client, found, signal);
  return capacity === sizeBytes && allocation <= EMPTY_BYTES;
}
