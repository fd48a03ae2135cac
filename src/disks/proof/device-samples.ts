import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { DeviceProof } from '../../protocol/disk.ts';

/**
 * Samples of a block device: sums that only a host with access to the device can compute, and that are useless
 * outside of one migration.
 */

/** On a device that is a tenth full, about 25 hold data. Each check reads them three times. */
const SAMPLES = 256;
const SAMPLE_BYTES = 4096;
/** Parallel reads, for storage with many disks. */
const AT_ONCE = 8;
/** Distinct pieces needed; equal pieces of empty devices prove nothing. */
const MIN_DISTINCT = 16;
/**
 * One in this many distinct pieces may differ from the source's, because its guest writes between the two readings. A
 * source without access would have to know 15 of 16 pieces.
 */
const CHANGED_PART = 16;

const OTHER = 'the device of the same ids holds something else there';
const TOO_EMPTY =
  `too little of it holds data to distinguish it from another device: fewer than ${MIN_DISTINCT} of ${SAMPLES} pieces. ` +
  'Put data on it (a file system that is used), or have it copied';
const TOO_BUSY = 'the guest writes to it so fast that too little of it can be compared';

/** Both hosts are part of every sum, so that questions and answers cannot be relayed. */
export interface SampleEnds {
  readonly from: string;
  readonly to: string;
  readonly migration: string;
}

export interface SampleQuestion extends SampleEnds {
  readonly device: Pick<DeviceProof, 'ids' | 'bytes'>;
  /** Challenge of the destination for this migration and device. */
  readonly challenge: string;
}

export interface Sample {
  readonly sum: string;
  /** More than one repeated byte, and different from all earlier pieces. */
  readonly isDistinct: boolean;
}

export type Judgement = { readonly same: true } | { readonly same: false; readonly why: string };

/**
 * Places of the samples, bytes, without duplicates: the first and last piece, and places derived from the challenge.
 * Pure.
 */
export function samplePlaces(bytes: number, challenge: string): number[] {
  const pieces = Math.floor(bytes / SAMPLE_BYTES);
  if (pieces === 0) return [];
  const found = new Set([0, pieces - 1]);
  for (let index = found.size; index < SAMPLES; index++) {
    const hash = createHash('sha256').update(`${challenge} ${index}`).digest();
    found.add(Number(hash.readBigUInt64BE(0) % BigInt(pieces)));
  }
  return [...found].map((piece) => piece * SAMPLE_BYTES);
}

/** Reads samples. Writes back this host's cache of the device first. Throws if unreadable. */
export async function sampleDevice(
  file: string,
  question: SampleQuestion,
  signal: AbortSignal,
): Promise<Sample[]> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    await handle.datasync();
    const read = async (at: number, bytes: number): Promise<Buffer> => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, at);
      return buffer.subarray(0, bytesRead);
    };
    return await samplesOf(read, question, signal);
  } finally {
    await handle.close();
  }
}

export async function samplesOf(
  read: (at: number, bytes: number) => Promise<Buffer>,
  question: SampleQuestion,
  signal: AbortSignal,
): Promise<Sample[]> {
  const seen = new Set<string>();
  const samples: Sample[] = [];
  const places = samplePlaces(question.device.bytes, question.challenge);
  for (let first = 0; first < places.length; first += AT_ONCE) {
    signal.throwIfAborted();
    const now = places.slice(first, first + AT_ONCE);
    const pieces = await Promise.all(now.map((at) => read(at, SAMPLE_BYTES)));
    for (const [index, piece] of pieces.entries()) {
      const content = createHash('sha256').update(piece).digest('hex');
      const isDistinct = !isOneByte(piece) && !seen.has(content);
      seen.add(content);
      samples.push({ sum: sumOf(piece, now[index] ?? 0, question), isDistinct });
    }
  }
  return samples;
}

function isOneByte(piece: Buffer): boolean {
  return piece.every((byte) => byte === piece[0]);
}

/** Sum of the piece at `at` (bytes) for this question only. Pure. */
export function sumOf(
  piece: Buffer,
  at: number,
  { from, to, migration, device, challenge }: SampleQuestion,
): string {
  const { ids, bytes } = device;
  const about = JSON.stringify([from, to, migration, ids, bytes, challenge, at]);
  return createHash('sha256').update(`${about}\n`).update(piece).digest('hex').slice(0, 16);
}

/** Checks that the source has read what this host reads. Only distinct samples count. Pure. */
export function judgeReported(own: readonly Sample[], reported: readonly string[]): Judgement {
  const distinct = own.filter(({ isDistinct }) => isDistinct).length;
  const other = own.filter(({ sum }, index) => sum !== reported[index]).length;
  if (reported.length !== own.length || other > mostChanged(distinct))
    return { same: false, why: OTHER };
  return distinct < MIN_DISTINCT ? { same: false, why: TOO_EMPTY } : { same: true };
}

/**
 * Checks that both hosts read the same device: a piece that the source reads twice alike must be the same at the
 * destination in between. One other difference proves a copy. Pieces that the guest wrote meanwhile are ignored, and
 * enough others must be left. Pure.
 */
export function judgeSamples(
  before: readonly Sample[],
  there: readonly string[],
  after: readonly Sample[],
): Judgement {
  if (there.length !== before.length || before.length !== after.length) {
    return { same: false, why: 'it was not read there in the same places' };
  }
  const still = before.map(({ sum }, index) => sum === after[index]?.sum);
  const other = before.filter(({ sum }, index) => still[index] && sum !== there[index]).length;
  if (other > 0) {
    return { same: false, why: `${OTHER} (${other} of ${before.length} samples)` };
  }
  const distinct = before.filter(({ isDistinct }) => isDistinct).length;
  if (distinct < MIN_DISTINCT) return { same: false, why: TOO_EMPTY };
  const compared = before.filter(({ isDistinct }, index) => isDistinct && still[index]).length;
  return compared < MIN_DISTINCT ? { same: false, why: TOO_BUSY } : { same: true };
}

function mostChanged(distinct: number): number {
  return Math.floor(distinct / CHANGED_PART);
}
