import path from 'node:path';
import { godwitError, type GodwitError } from '../../../errors.ts';
import type { CopiedDisk, ManagedOrder } from '../../../migration/managed/task-sight.ts';
import type { LibvirtClient } from '../client.ts';
import { ASIDE, isThere } from './copies.ts';
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
import { endAt, hasRun, isNeverPaused, presence, whereabouts, type Sight } from '../whereabouts.ts';

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

/**
 * Removes the created volumes if both daemons report that the guest runs at its source. Volumes that the guest may
 * have written at the destination stay, and the returned error names them. Can be repeated.
 */
export async function removePlaces(
  daemons: DaemonPair,
  order: ManagedOrder,
  isOrdered: boolean,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const { to, guest, copies = [] } = order;
  const there = await daemons.destination(to, signal);
  const sights = [
    await daemons.sight(daemons.source, signal),
    await daemons.sight(there, signal),
  ] as const;
  const { at, busy } = whereabouts(...sights, await daemons.isMoving(signal));
  const isGone = ['absent', 'left'].includes(presence(sights[1]));
  if (at !== 'source' || busy !== false || !isGone) {
    const files = copies.map(({ file }) => file).join(', ');
    const reason = `not both daemons report that it is at its source alone, so its volumes at ${to} stay: ${files}`;
    throw godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
  }
  if (isOrdered && (await mayHaveRun(daemons, order, sights, signal)))
    return keptPlaces(there, order, signal);
  // Before the order nothing has been written, so a volume with contents is not ours.
  await removeEach(there, copies, { host: to, guest, onlyEmpty: !isOrdered }, signal);
  return undefined;
}

/**
 * True unless it is proved that the ordered guest, which is at its source, never ran on the copies. A second copy that
 * was ended by decision 0025 does not count.
 */
async function mayHaveRun(
  daemons: DaemonPair,
  { id }: Pick<ManagedOrder, 'id'>,
  [here, there]: readonly [Sight, Sight],
  signal: AbortSignal,
): Promise<boolean> {
  const mark = (await daemons.marked(daemons.source, id, signal))?.mark;
  if (mark?.second !== undefined) return false;
  // A definition from before the order may have its end from before, too.
  if (hasRun(there) && mark?.defined !== 'yes') return true;
  // A cancelled task ends before libvirt starts the guest at its destination.
  const isCancelled = [daemons.host.outcomes.get(id), mark].some(
    (each) => each?.state === 'cancelled',
  );
  // Without its mark, the guest at the source may have been started since the order.
  return !isCancelled && (mark === undefined || !isNeverPaused(here));
}

/** Undefined if none of the volumes is there. */
async function keptPlaces(
  there: LibvirtClient,
  { from, to, guest, copies = [] }: ManagedOrder,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const kept: string[] = [];
  for (const copy of copies) {
    const pool = await poolOf(there, copy, { host: to, guest }, signal);
    await refresh(there, pool, signal);
    const found = await volume(there, pool, path.basename(copy.file), signal);
    if (found !== undefined) kept.push(copy.file);
  }
  if (kept.length === 0) return undefined;
  const reason = `${kept.join(', ')} there is left to you, since ${guest} may have run there and written to it`;
  const facts = { hypervisor: 'libvirt', host: to, command: 'vol-delete', reason };
  const hint = `${guest} is at ${from} with its own images. Only the named files may have what it wrote at {host}. ${ASIDE}`;
  return godwitError('GODWIT_HYPERVISOR', facts, { hint });
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
