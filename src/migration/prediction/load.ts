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

/** What a pass over memory, and a page that is sent again, cost on a memory path. Pure. */

/** What is sent, and what it costs on the data path that memory takes. */
export interface Load {
  readonly memoryBytes: number;
  readonly curve: readonly CurvePoint[];
  /** Of a pass over all of memory. */
  readonly passMs: number;
  readonly passBytes: number;
  /** Of a pass: pages that are sent, and not only noted as zeros or left out. */
  readonly contentBytes: number;
  /** Of a byte of memory that is sent again. */
  readonly againMsPerByte: number;
  readonly againBytesPerByte: number;
  /** As its mover looks at its pages while the first round runs; absent: it does not. */
  readonly writes?: Writes | undefined;
}

/** What a pass over memory sends, and what a byte takes of the link and of the processors, each by itself. */
interface Pass {
  /** Of memory: what is sent as pages, and what as notes of zeros. */
  readonly reported: number;
  readonly zeros: number;
  /** Of a page, and of one that is sent again: bytes over the link for each byte. */
  readonly share: number;
  readonly againShare: number;
  readonly startMs: number;
  /** For a byte of memory. */
  readonly workMs: number;
  /** For a byte over the link. */
  readonly linkMs: number;
  /** Link and processors wait for each other in turn. */
  readonly alternating: boolean;
}

/**
 * The link and the processors work at the same time: the slower of the two counts. Of pages that are compressed some shrink
 * much, and the link waits for the processors; others do not, and these wait for it: where each alone would take about as
 * long, both together take longer. Not where the link is known at the least only: it may not be waited for at all.
 */
const slower = (
  { workMs, linkMs, alternating }: Pick<Pass, 'workMs' | 'linkMs' | 'alternating'>,
  bytes: number,
  work: number,
): number => (alternating ? Math.hypot : Math.max)(bytes * linkMs, work * workMs);

function passOf(facts: Facts, scenario: Scenario): Pass {
  const { memoryBytes, mix } = facts;
  // The sample is off to either side in what is zero, too.
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

/** Somebody has looked at its pages, and the path compresses them. */
export const isSampled = ({ memoryPath, mix }: Pick<Facts, 'memoryPath' | 'mix'>): boolean =>
  mix !== undefined && COSTS[memoryPath].ofPacked !== undefined;

const firstBytesOf = ({ reported, zeros, share }: Pass): number =>
  reported * share + zeros * ZERO_NOTE;

/** What so many bytes over the link would take of the processors alone, and of the link alone, ms; and those of the first pass. */
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

/** Of a byte of a page that is not zero, over the link: when it is sent first, and again. */
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
  // What is sent as it is has no share that could be off, once it is known what there is to send.
  const off = mix !== undefined && ofPacked === undefined ? 1 : scenario.share;
  const learned = isSampled(facts) ? (factors?.bytes.times ?? 1) : 1;
  const shareWith = (pages: PageMix | undefined): number =>
    Math.min(1, shareOf(memoryPath, pages, linkOf(facts, scenario)) * off * learned);
  return { share: shareWith(mix), againShare: shareWith(rewritten(memoryPath, mix)) * again };
}

/** What a mover sees in a good part of the first round, if the guest goes on as it was seen. */
function longLook(
  curve: readonly CurvePoint[],
  passMs: number,
  memoryBytes: number,
): { readonly long: CurvePoint } {
  const windowMs = Math.min(passMs * LONG_LOOK_SHARE, MAX_LONG_LOOK_MS);
  return { long: { windowMs, dirtyBytes: dirtiedWithin(curve, windowMs, memoryBytes) } };
}

/** As a mover does: not where a byte that is written is not a byte that is sent. */
function looksAtWrites({ pages = 0, shape, memoryPath }: Facts): boolean {
  return pages > 0 && shape !== 'managed' && (memoryPath === 'plain' || memoryPath === 'several');
}

/** What a byte takes that goes as it is, like those of QEMU's own stream, ms. */
export function plainMsPerByte(facts: Facts, scenario: Scenario): number {
  const factors = factorsOf('plain', facts.ownMoves ?? []);
  const workMs = workMsPerByte({ ...facts, memoryPath: 'plain', factors }, scenario);
  return Math.max(1000 / linkOf(facts, scenario), workMs);
}

/** Free pages that hold something, bytes. Hypervisors ask for hints of them where no post-copy may follow. */
function leftOut(facts: Facts, msPerByte: number): number {
  const { mix, hintedFreeBytes: freeBytes, memoryBytes, settings } = facts;
  if (freeBytes === undefined || settings.mode !== 'precopy') return 0;
  return leftOutBytes({ freeBytes, memoryBytes, zero: mix?.zero ?? 0, rate: 1000 / msPerByte });
}

/** Bytes over the link for each byte of a page that is not zero. */
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

/** What hardly shrinks at the quickest level does not at a higher one, either. */
function ofHigher(memoryPath: MemoryPath, { packed }: PageMix): number {
  const { ofQuickest = 1 } = COSTS[memoryPath];
  return 1 - (1 - ofQuickest) * Math.min(1, 2 * (1 - packed));
}

/** The wire sends what changed in such a page, and its cost is of the whole one. */
function rewritten(memoryPath: MemoryPath, mix: PageMix | undefined): PageMix | undefined {
  if (!isPacked(memoryPath) || mix?.packedAgain === undefined) return mix;
  return { ...mix, packed: mix.packedAgain };
}

const isPacked = (memoryPath: MemoryPath): boolean =>
  COSTS[memoryPath].ofPacked !== undefined && !isByWire(memoryPath);

/** More than one of the hypervisor's own streams. */
export const isSeveral = (memoryPath: MemoryPath): boolean =>
  COSTS[memoryPath].mostCores > 1 && !isByWire(memoryPath);

/**
 * What was written before the guest is stopped, and is still to go, ms. The wire bounds what is under way, and a
 * hypervisor that keeps to a cap below the link has nothing in front of it.
 */
export function queuedMsOf(facts: Facts, scenario: Scenario): number {
  const { link, settings, memoryPath } = facts;
  const rate = (link?.rate ?? Infinity) * scenario.link;
  if (isByWire(memoryPath) || (settings.maxBandwidth ?? Infinity) < rate) return 0;
  // It differs from one look to the next by more than the link does.
  return (
    queuedMs(isSeveral(memoryPath) ? SEVERAL_QUEUED_BYTES : QUEUED_BYTES, rate) * scenario.fixed
  );
}

/** What a mover leaves out of the downtime that its hypervisor may plan for, ms. */
export function underWayMsOf(facts: Facts, scenario: Scenario): number {
  // A manager plans by itself, and a container's rounds end by what they sent.
  const isPlanned = facts.shape === 'managed' || facts.rounds === 'content';
  if (isByWire(facts.memoryPath)) return WIRE_UNDER_WAY_MS + (isPlanned ? 0 : SWITCH_MS);
  return isPlanned ? 0 : queuedMsOf(facts, scenario) + SWITCH_MS;
}

/** Of a link that is known at the least, it is the cap that is known, if the link was seen to carry as much. */
const isLinkKnown = ({ link, settings: { maxBandwidth = Infinity } }: Facts): boolean =>
  link?.isLeast !== true || maxBandwidth <= link.rate;

/** bytes/s; a cap is kept to as it is. */
function linkOf({ link, settings }: Facts, scenario: Scenario): number {
  return Math.max(
    1,
    Math.min((link?.rate ?? Infinity) * scenario.link, settings.maxBandwidth ?? Infinity),
  );
}
