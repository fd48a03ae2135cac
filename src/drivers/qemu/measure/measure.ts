import { systemClock } from '../../../clock.ts';
import { godwitError } from '../../../errors.ts';
import { lifeOf } from '../../../system/processes/life.ts';
import type { CurvePoint, GuestMeasure } from '../../../protocol/public/prediction.ts';
import type { Balloon } from '../../../port/balloon.ts';
import { readRamBlocks } from '../guest/facts.ts';
import { monitorCommand } from '../guest/monitor-command.ts';
import type { QemuHandle } from '../handle.ts';
import { freePageHints } from '../free-pages.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { calcDirtyRate } from './dirty-rate.ts';
import { samplePages, type Until } from '../../../host/memory-sample/pages.ts';
import { ProcessPages, type Place } from '../../../host/memory-sample/process-pages.ts';

/** First address of a machine's memory: 0 on a PC, 1 GiB on Arm. */
const BEGINNINGS = ['0x0', '0x40000000'] as const;

/**
 * Measures a running guest's writes and memory contents without stopping it. Reads a sample of its pages from
 * outside if this process may, otherwise uses QEMU's measurement. GODWIT_CAPABILITY explains why neither is
 * possible. `balloon` is the session's, so that simultaneous looks share one query.
 */
export async function measureGuest(
  handle: QemuHandle,
  client: QmpClient,
  balloon: Pick<Balloon, 'look'>,
  { signal, brief, knows }: Until,
): Promise<GuestMeasure> {
  const memoryBytes = await wholeBytes(client, signal);
  const place = await placeOf(client, await readRamBlocks(client, signal), signal);
  const [found, hinted] = await Promise.all([
    place === undefined ? undefined : fromOutside(handle, place, { signal, brief, knows }),
    brief === undefined ? hintedFree(client, balloon, signal) : {},
  ]);
  if (found !== undefined && place !== undefined) {
    const curve = found.curve.map((point) => ofAll(point, place, memoryBytes));
    return { how: 'pages', memoryBytes, ...found, curve, ...hinted };
  }
  const curve =
    brief === undefined ? await calcDirtyRate(client, memoryBytes, systemClock, signal) : undefined;
  if (curve !== undefined) return { how: 'hypervisor', memoryBytes, pages: 0, curve };
  const reason =
    brief === undefined
      ? 'this agent may not read its memory, and its QEMU does not measure what the guest writes'
      : 'its mover may not read its memory';
  throw godwitError('GODWIT_CAPABILITY', { what: `to measure ${handle.name}`, reason });
}

/** Memory that the guest would report as free; queried only if it reports any. */
async function hintedFree(
  client: QmpClient,
  balloon: Pick<Balloon, 'look'>,
  signal: AbortSignal,
): Promise<Pick<GuestMeasure, 'hintedFreeBytes'>> {
  if ((await freePageHints(client, signal)) !== 'given') return {};
  try {
    const { freeBytes } = await balloon.look(signal);
    return { hintedFreeBytes: freeBytes };
  } catch {
    signal.throwIfAborted();
    return {};
  }
}

async function wholeBytes(client: QmpClient, signal: AbortSignal): Promise<number> {
  const size = await client.query('query-memory-size-summary', {}, answers.memorySize, signal);
  return size['base-memory'] + size['plugged-memory'];
}

export function ofAll(
  { windowMs, dirtyBytes }: CurvePoint,
  { bytes }: Pick<Place, 'bytes'>,
  memoryBytes: number,
): CurvePoint {
  const scale = Math.max(1, memoryBytes / Math.max(1, bytes));
  return { windowMs, dirtyBytes: Math.min(memoryBytes, Math.round(dirtyBytes * scale)) };
}

/** Address of its first memory block in its process, and its total memory; undefined if QEMU does not report them. */
export async function readPlace(
  client: QmpClient,
  signal: AbortSignal,
): Promise<{ readonly place: Place; readonly memoryBytes: number } | undefined> {
  const place = await placeOf(client, await readRamBlocks(client, signal), signal);
  if (place === undefined) return undefined;
  return { place, memoryBytes: await wholeBytes(client, signal) };
}

async function placeOf(
  client: QmpClient,
  blocks: readonly { readonly name: string; readonly bytes: number }[],
  signal: AbortSignal,
): Promise<Place | undefined> {
  for (const beginning of BEGINNINGS) {
    const said = placeIn(await monitorCommand(client, `gpa2hva ${beginning}`, signal));
    const block = blocks.find(({ name }) => name.replace(/^.*\//, '') === said?.name);
    if (said !== undefined && block !== undefined) {
      return { address: said.address, bytes: block.bytes };
    }
  }
  return undefined;
}

/** Parses `Host virtual address for 0x0 (pc.ram) is 0x7f2bb7e00000`; undefined for other text. */
export function placeIn(text: string): { name: string; address: number } | undefined {
  const [, name, digits] = /\(([^)]{1,128})\) is 0x([0-9a-f]{1,13})\s*$/.exec(text) ?? [];
  if (name === undefined || digits === undefined) return undefined;
  const address = Number.parseInt(digits, 16);
  return address % 4096 === 0 ? { name: name.replace(/^.*\//, ''), address } : undefined;
}

async function fromOutside(
  handle: QemuHandle,
  place: Place,
  { signal, brief, knows }: Until,
): Promise<Pick<GuestMeasure, 'pages' | 'curve' | 'mix'> | undefined> {
  const until = { signal, brief, knows };
  const found = await onPagesOf(handle, place, (pages) =>
    samplePages(pages, systemClock, until, Math.random),
  );
  return found === undefined ? undefined : { ...found, curve: [...found.curve] };
}

/** Undefined if the kernel does not let this process read the pages, or if the QEMU is not known to live. */
export async function onPagesOf<T>(
  handle: QemuHandle,
  place: Place,
  look: (pages: ProcessPages) => Promise<T>,
): Promise<T | undefined> {
  let pages: ProcessPages;
  try {
    pages = new ProcessPages(handle.pid, place);
  } catch {
    return undefined;
  }
  try {
    // The opened files belong to the pid's present process, so its identity is checked after the open.
    if (lifeOf(handle).state !== 'alive') return undefined;
    const found = await look(pages);
    // Pages of a guest that has ended would look unwritten.
    return lifeOf(handle).state === 'alive' ? found : undefined;
  } finally {
    pages.close();
  }
}
