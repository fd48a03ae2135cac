import { defined } from '../../protocol/defined.ts';
import type { ImageStamp } from './image-stamps.ts';

/** Next action of a source for descriptions that other hosts keep: confirm, send again, or withdraw. Pure. */

/** Source's record of a description that another host keeps. */
export interface StandbyOfferRecord {
  readonly guest: string;
  readonly to: string;
  /** Digest of devices and block graph, read before the description. */
  readonly digest: string;
  /** Offered because of the label godwit/recover; otherwise an operator requested it. */
  readonly labelled: boolean;
  /** The other host has lost it or has another one, or the guest changed meanwhile. */
  readonly isRefused?: boolean | undefined;
  /** The guest or its label is gone; repeated until the other host answers. */
  readonly isWithdrawn?: boolean | undefined;
}

/** Result of a look at a guest. `unread`: its hypervisor could not be asked, or a migration holds it. */
export type GuestLook =
  | { readonly kind: 'absent'; readonly sinceMs: number }
  | { readonly kind: 'unread'; readonly labelled: boolean }
  | {
      readonly kind: 'read';
      readonly labelled: boolean;
      readonly digest: string;
      readonly images?: readonly ImageStamp[] | undefined;
    };

/** A restarting guest is absent for a moment, a guest that left for good, ms. */
export const ABSENT_MS = 600_000;

export interface OfferStep {
  readonly beat: 'confirm' | 'mention' | 'withdraw';
  readonly digest?: string;
  readonly images?: readonly ImageStamp[] | undefined;
  readonly refresh: boolean;
}

export function stepOf(offer: StandbyOfferRecord, look: GuestLook, nowMs: number): OfferStep {
  if (offer.isWithdrawn === true) return { beat: 'withdraw', refresh: false };
  if (look.kind === 'absent') {
    const isGone = nowMs - look.sinceMs >= ABSENT_MS;
    return { beat: isGone ? 'withdraw' : 'mention', refresh: false };
  }
  if (offer.labelled && !look.labelled) return { beat: 'withdraw', refresh: false };
  if (look.kind === 'unread') return { beat: 'mention', refresh: false };
  const { digest, images } = look;
  // A differing digest is reported at once, so that the other host refuses to start from its description. Its
  // description may be wrong even if the guest has returned to its old state.
  if (digest === offer.digest && offer.isRefused === true)
    return { beat: 'mention', refresh: true };
  const refresh = digest !== offer.digest;
  return { beat: 'confirm', digest, ...defined({ images }), refresh };
}
