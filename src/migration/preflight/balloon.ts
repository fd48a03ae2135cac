import { godwitError } from '../../errors.ts';
import type { BalloonPolicy } from '../../protocol/public/balloon.ts';
import type { HostFacts } from '../../protocol/peer/host-facts.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { passes, refuses, type Finding } from './finding.ts';

/** Decides how much guest memory the balloon takes before a move. Pure. */

const MIB = 1024 ** 2;
/** Free or available memory that the guest keeps: a minimum, and a share of its memory. */
const MARGIN_BYTES = 64 * MIB;
const MARGIN_SHARE = 0.05;
/** Tolerance for an empty balloon. */
const WHOLE_BYTES = MIB;

export interface BalloonLook {
  readonly actualBytes: number;
  /** Memory with an empty balloon; excludes memory that a balloon cannot take (nvdimm, virtio-mem). */
  readonly wholeBytes: number;
  /** Unused pages; `available` includes pages that the guest can give up. */
  readonly freeBytes: number;
  readonly availableBytes: number;
}

export function marginOf(memoryBytes: number): number {
  return Math.max(MARGIN_BYTES, Math.ceil(memoryBytes * MARGIN_SHARE));
}

/** Bytes that may be taken now, in whole MiB; 0 if the guest needs everything. */
export function takeOf(policy: BalloonPolicy, look: BalloonLook): number {
  // Free pages that the guest reserves for itself are not available.
  const may =
    policy === 'free' ? Math.min(look.freeBytes, look.availableBytes) : look.availableBytes;
  const margin = marginOf(look.wholeBytes);
  const most = Math.min(may - margin, look.actualBytes - margin);
  return Math.max(0, Math.floor(most / MIB) * MIB);
}

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

/** Warns of a balloon that another program inflated: the destination needs room for the full size. */
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

/** Checks that the destination deflates the balloon. An earlier build would not. */
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
