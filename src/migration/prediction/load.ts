import type { CurvePoint, PageMix } from '../../protocol/public/prediction.ts';
import { queuedMs, WIRE_UNDER_WAY_MS } from '../steering/downtime.ts';
import { LONG_LOOK_SHARE, MAX_LONG_LOOK_MS } from '../steering/first-round.ts';
import { dirtiedWithin } from './curve.ts';
import type { Facts } from './facts.ts';
import { leftOutBytes } from './hinted.ts';
import { factorsOf } from './own-costs.ts';
import { between, hitsOf, isByWire } from './hits.ts';
import {
  COSTS,
  HELD_SPREAD,
  MOVER_PAGES,
  NAMED,
  QUEUED_BYTES,
  SEVERAL_QUEUED_BYTES,
  SWITCH_MS,
  THIN_LINK,
  ZERO_NOTE,
  ZERO_WORK,
  type MemoryPath,
} from './parameters.ts';
import type { Writes } from '../steering/write-rate.ts';
import type { Scenario } from './scenarios.ts';
import { startMsOf, workMsPerByte } from './work.ts';

/** Cost of a pass over memory and of a resent page, per memory path. Pure. */

export interface Load {
  readonly memoryBytes: number;
  readonly curve: readonly CurvePoint[];
  readonly passMs: number;
  readonly passBytes: number;
  /** Pages sent with content in a full pass, without zeros and skipped pages. */
  readonly contentBytes: number;
  readonly againMsPerByte: number;
  readonly againBytesPerByte: number;
  /** Writes that its mover observes during the first round; absent: not observed. */
  readonly writes?: Writes | undefined;
}

interface Pass {
  /** Memory sent as pages or as zero notes. */
  readonly reported: number;
  readonly zeros: number;
  /** Link bytes per byte of a page, first and again. */
  readonly share: number;
  readonly againShare: number;
  readonly startMs: number;
  /** Per byte of memory. */
  readonly workMs: number;
  /** Per byte over the link. */
  readonly linkMs: number;
  /** Link and processors wait for each other in turn. */
  readonly alternating: boolean;
}

/**
 * Link and processors work in parallel, so the slower one counts. Compression makes each wait for the other at times,
 * because some pages shrink much and others do not. If both alone would take about as long, together they take
 * longer. Not applied to a link that is only a lower bound, since it may never be the limit.
 */
const slower = (
  { workMs, linkMs, alternating }: Pick<Pass, 'workMs' | 'linkMs' | 'alternating'>,
  bytes: number,
  work: number,
): number => (alternating ? Math.hypot : Math.max)(bytes * linkMs, work * workMs);

function passOf(facts: Facts, scenario: Scenario): Pass {
  const { memoryBytes, mix } = facts;
  // The sampling error affects the share of zeros, too.
  const held = (1 - (mix?.zero ?? 0)) * scenario.share ** (mix === undefined ? 0 : HELD_SPREAD);
  const zeroShare = Math.max(0, 1 - held);
  const { share, againShare } = sharesOf(facts, scenario);
  const workMs = workMsPerByte(facts, scenario);
  const linkMs = 1000 / linkOf(facts, scenario);
  const alternating = COSTS[facts.memoryPath].ofPacked !== undefined && isLinkKnown(facts);
  const msPerByte = slower({ workMs, linkMs, alternating }, share, 1);
  const reported = Math.max(0, memoryBytes * (1 - zeroShare) - leftOut(facts, msPerByte));
  const zeros = memoryBytes * zeroShare;
  const startMs = startMsOf(facts, scenario);
  return { reported, zeros, share, againShare, startMs, workMs, linkMs, alternating };
}

export const isSampled = ({ memoryPath, mix }: Pick<Facts, 'memoryPath' | 'mix'>): boolean =>
  mix !== undefined && COSTS[memoryPath].ofPacked !== undefined;

const firstBytesOf = ({ reported, zeros, share }: Pass): number =>
  reported * share + zeros * ZERO_NOTE;

/** Time of these link bytes on the processors alone and on the link alone, ms. */
export function aloneOf(
  facts: Facts,
  scenario: Scenario,
  bytes: number,
): Pick<Pass, 'workMs' | 'linkMs' | 'alternating'> & { readonly firstBytes: number } {
  const pass = passOf(facts, scenario);
  const { reported, zeros, againShare, startMs, workMs, linkMs, alternating } = pass;
  const firstBytes = firstBytesOf(pass);
  const again = againShare > 0 ? Math.max(0, bytes - firstBytes) / againShare : 0;
  return {
    workMs: startMs + (reported + zeros * ZERO_WORK + again) * workMs,
    linkMs: bytes * linkMs,
    alternating,
    firstBytes,
  };
}

export function loadOf(facts: Facts, scenario: Scenario): Load {
  const { memoryBytes } = facts;
  const pass = passOf(facts, scenario);
  const { reported, zeros, share, againShare } = pass;
  const curve = facts.curve.map(({ windowMs, dirtyBytes }) => {
    return { windowMs, dirtyBytes: dirtyBytes * scenario.dirty };
  });
  const pages = Math.min(facts.pages ?? 0, MOVER_PAGES);
  const passMs =
    pass.startMs +
    slower(pass, reported * share, reported) +
    slower(pass, zeros * ZERO_NOTE, zeros * ZERO_WORK);
  return {
    memoryBytes,
    curve,
    ...(looksAtWrites(facts)
      ? {
          writes: {
            pages,
            memoryBytes,
            zeroShare: 1 - reported / Math.max(1, memoryBytes),
            curve,
            ...longLook(curve, passMs, memoryBytes),
            linkRate: 0,
          },
        }
      : {}),
    passMs,
    contentBytes: reported,
    passBytes: firstBytesOf(pass),
    againMsPerByte: slower(pass, againShare, 1),
    againBytesPerByte: againShare,
  };
}

/** Link bytes per byte of a nonzero page, first and again. */
function sharesOf(facts: Facts, scenario: Scenario) {
  const hits = hitsOf(facts, scenario);
  if (hits === undefined) return sharesBy(facts, scenario);
  const missed = sharesBy({ ...facts, memoryPath: 'cold' }, scenario);
  const known = sharesBy({ ...facts, memoryPath: 'known' }, scenario);
  return {
    share: between(missed.share, Math.min(missed.share, NAMED), hits),
    againShare: between(missed.againShare, Math.min(missed.againShare, known.againShare), hits),
  };
}

function sharesBy(facts: Facts, scenario: Scenario) {
  const { memoryPath, mix, factors } = facts;
  const { again, ofPacked } = COSTS[memoryPath];
  // Uncompressed pages have no uncertain share once the pages are sampled.
  const off = mix !== undefined && ofPacked === undefined ? 1 : scenario.share;
  const learned = isSampled(facts) ? (factors?.bytes.times ?? 1) : 1;
  const shareWith = (pages: PageMix | undefined): number =>
    Math.min(1, shareOf(memoryPath, pages, linkOf(facts, scenario)) * off * learned);
  return { share: shareWith(mix), againShare: shareWith(rewritten(memoryPath, mix)) * again };
}

/** Writes that a mover observes in a good part of the first round, if the guest continues as measured. */
function longLook(
  curve: readonly CurvePoint[],
  passMs: number,
  memoryBytes: number,
): { readonly long: CurvePoint } {
  const windowMs = Math.min(passMs * LONG_LOOK_SHARE, MAX_LONG_LOOK_MS);
  return { long: { windowMs, dirtyBytes: dirtiedWithin(curve, windowMs, memoryBytes) } };
}

/** True if the mover observes writes; useless if a written byte is not a sent byte. */
function looksAtWrites({ pages = 0, shape, memoryPath }: Facts): boolean {
  return pages > 0 && shape !== 'managed' && (memoryPath === 'plain' || memoryPath === 'several');
}

/** Time per uncompressed byte, as in QEMU's stream, ms. */
export function plainMsPerByte(facts: Facts, scenario: Scenario): number {
  const factors = factorsOf('plain', facts.ownMoves ?? []);
  const workMs = workMsPerByte({ ...facts, memoryPath: 'plain', factors }, scenario);
  return Math.max(1000 / linkOf(facts, scenario), workMs);
}

/** Nonempty free pages, bytes. Hypervisors request hints only if post-copy cannot follow. */
function leftOut(facts: Facts, msPerByte: number): number {
  const { mix, hintedFreeBytes: freeBytes, memoryBytes, settings } = facts;
  if (freeBytes === undefined || settings.mode !== 'precopy') return 0;
  return leftOutBytes({ freeBytes, memoryBytes, zero: mix?.zero ?? 0, rate: 1000 / msPerByte });
}

function shareOf(memoryPath: MemoryPath, mix: PageMix | undefined, link: number): number {
  const { share, once } = COSTS[memoryPath];
  const ofPacked = ofPackedOver(memoryPath, link);
  if (mix === undefined) return share;
  const alike = once === true ? 1 - mix.duplicate : 1;
  if (ofPacked === undefined) return share * alike;
  return Math.min(1, mix.packed * ofPacked * alike * ofHigher(memoryPath, mix));
}

function ofPackedOver(memoryPath: MemoryPath, link: number): number | undefined {
  const { ofPacked, ofPackedThin } = COSTS[memoryPath];
  if (ofPacked === undefined || ofPackedThin === undefined) return ofPacked;
  const { least, most } = THIN_LINK;
  const fat = Math.log(link / least) / Math.log(most / least);
  return between(ofPackedThin, ofPacked, Math.min(1, Math.max(0, fat)));
}

/** Pages that barely shrink at the fastest level do not shrink at higher levels either. */
function ofHigher(memoryPath: MemoryPath, { packed }: PageMix): number {
  const { ofQuickest = 1 } = COSTS[memoryPath];
  return 1 - (1 - ofQuickest) * Math.min(1, 2 * (1 - packed));
}

/** The wire sends a page's changes at the processor cost of the whole page. */
function rewritten(memoryPath: MemoryPath, mix: PageMix | undefined): PageMix | undefined {
  if (!isPacked(memoryPath) || mix?.packedAgain === undefined) return mix;
  return { ...mix, packed: mix.packedAgain };
}

const isPacked = (memoryPath: MemoryPath): boolean =>
  COSTS[memoryPath].ofPacked !== undefined && !isByWire(memoryPath);

export const isSeveral = (memoryPath: MemoryPath): boolean =>
  COSTS[memoryPath].mostCores > 1 && !isByWire(memoryPath);

/**
 * Time to send the bytes that are queued when the guest stops, ms. The wire limits its queue, and a hypervisor with a
 * cap below the link has none.
 */
export function queuedMsOf(facts: Facts, scenario: Scenario): number {
  const { link, settings, memoryPath } = facts;
  const rate = (link?.rate ?? Infinity) * scenario.link;
  if (isByWire(memoryPath) || (settings.maxBandwidth ?? Infinity) < rate) return 0;
  // Varies more between measurements than the link.
  return (
    queuedMs(isSeveral(memoryPath) ? SEVERAL_QUEUED_BYTES : QUEUED_BYTES, rate) * scenario.fixed
  );
}

/** Time that a mover subtracts from the hypervisor's downtime limit, ms. */
export function underWayMsOf(facts: Facts, scenario: Scenario): number {
  // Managers plan by themselves, and container rounds end by the amount sent.
  const isPlanned = facts.shape === 'managed' || facts.rounds === 'content';
  if (isByWire(facts.memoryPath)) return WIRE_UNDER_WAY_MS + (isPlanned ? 0 : SWITCH_MS);
  return isPlanned ? 0 : queuedMsOf(facts, scenario) + SWITCH_MS;
}

/** A lower bound of the link suffices if it was seen to carry the cap. */
const isLinkKnown = ({ link, settings: { maxBandwidth = Infinity } }: Facts): boolean =>
  link?.isLeast !== true || maxBandwidth <= link.rate;

/** bytes/s; a cap is kept exactly. */
function linkOf({ link, settings }: Facts, scenario: Scenario): number {
  return Math.max(
    1,
    Math.min((link?.rate ?? Infinity) * scenario.link, settings.maxBandwidth ?? Infinity),
  );
}
