import { godwitError } from '../../errors.ts';
import type { BalloonPolicy } from '../../protocol/public/balloon.ts';
import type { HostFacts } from '../../protocol/peer/host-facts.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { passes, refuses, type Finding } from './finding.ts';

/** How much of a guest's memory is taken out of the way before it moves, and why none is. Pure. */

const MIB = 1024 ** 2;
/** Of its free or available memory the guest keeps this, and this share of all that it has. */
const MARGIN_BYTES = 64 * MIB;
const MARGIN_SHARE = 0.05;
/** What a balloon takes is more: an empty one leaves the guest all that it was given. */
const WHOLE_BYTES = MIB;

/** What a guest's balloon and its driver in the guest report. */
export interface BalloonLook {
  /** What the guest has with the balloon as it is, bytes. */
  readonly actualBytes: number;
  /** What it has with an empty one: all of its memory but for what no balloon reaches (nvdimm, virtio-mem). */
  readonly wholeBytes: number;
  /** Pages that nothing in the guest uses, and with those that it could give up without harm, such as page cache. */
  readonly freeBytes: number;
  readonly availableBytes: number;
}

/** What the guest keeps as free or available, bytes. */
export function marginOf(memoryBytes: number): number {
  return Math.max(MARGIN_BYTES, Math.ceil(memoryBytes * MARGIN_SHARE));
}

/** How much may be taken now, bytes, whole MiB; 0 where the guest needs all that it has. */
export function takeOf(policy: BalloonPolicy, look: BalloonLook): number {
  // Free pages that the guest keeps back for itself are not available.
  const may =
    policy === 'free' ? Math.min(look.freeBytes, look.availableBytes) : look.availableBytes;
  const margin = marginOf(look.wholeBytes);
  const most = Math.min(may - margin, look.actualBytes - margin);
  return Math.max(0, Math.floor(most / MIB) * MIB);
}

/** Whether nothing of the guest's memory is in its balloon. */
export function isWhole({
  actualBytes,
  wholeBytes,
}: Pick<BalloonLook, 'actualBytes' | 'wholeBytes'>): boolean {
  return actualBytes > wholeBytes - WHOLE_BYTES;
}

export function judgeBalloon(policy: BalloonPolicy, look: BalloonLook): Finding {
  const { actualBytes, wholeBytes } = look;
  if (!isWhole(look)) {
    const taken = formatBytes(wholeBytes - actualBytes);
    const reason = `its balloon holds ${taken} already, for somebody else`;
    const hint = 'Leave --balloon out, or have whoever asked the balloon for that give it back.';
    return refuses(
      godwitError('GODWIT_CAPABILITY', { what: `--balloon ${policy}`, reason }, { hint }),
    );
  }
  const may = formatBytes(policy === 'free' ? look.freeBytes : look.availableBytes);
  const take = formatBytes(takeOf(policy, look));
  const margin = formatBytes(marginOf(wholeBytes));
  return passes(
    `${take} of its memory may be taken: ${may} are ${policy}, of which it keeps ${margin}`,
  );
}

/**
 * What a balloon that somebody else has filled means for the destination: it must have room for all that the guest may grow
 * to. Nothing is said of an empty one.
 */
export function judgeInflated(
  balloon: Pick<BalloonLook, 'actualBytes' | 'wholeBytes'> | undefined,
): Finding[] {
  if (balloon === undefined || isWhole(balloon)) return [];
  const { actualBytes, wholeBytes } = balloon;
  const [held, now, whole] = [wholeBytes - actualBytes, actualBytes, wholeBytes].map(formatBytes);
  return [
    passes(
      `its balloon holds ${held}: the guest has ${now} now and may grow to ${whole}, for which the destination must have room`,
    ),
  ];
}

/** Whether the destination gives the guest its memory back. An earlier build would leave it in the balloon. */
export function judgeGivesBack({
  destination: { name, givesBack },
  balloon,
}: {
  readonly destination: Pick<HostFacts, 'name' | 'givesBack'>;
  readonly balloon?: BalloonPolicy | undefined;
}): Finding[] {
  if (balloon === undefined) return [];
  if (givesBack === true) return [passes(`${name} gives the guest its memory back`)];
  const reason = `${name} runs a build that would not give the guest its memory back`;
  const hint = `Upgrade Godwit on ${name}, or leave the option out.`;
  const what = `--balloon ${balloon}`;
  return [refuses(godwitError('GODWIT_CAPABILITY', { what, reason }, { hint }))];
}
