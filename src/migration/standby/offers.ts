import { defined } from '../../protocol/defined.ts';
import type { ImageStamp } from './image-stamps.ts';

/**
 * What a source does about the descriptions of its guests that other hosts keep: confirm, send again, or withdraw. Pure: one
 * look at a guest, and what follows from it.
 */

/** A description that another host keeps, as its source recorded it. */
export interface StandbyOfferRecord {
  readonly guest: string;
  readonly to: string;
  /** Of the guest's devices and block graph, read before the description. */
  readonly digest: string;
  /** The guest had the label godwit/recover when it was offered; without it, an operator asked for it. */
  readonly labelled: boolean;
  /** The other host does not have it any more, or has another one, or the guest changed while it was described. */
  readonly isRefused?: boolean | undefined;
  /** The guest is gone, or lost its label: the other host is told until it has answered. */
  readonly isWithdrawn?: boolean | undefined;
}

/** What a look at a guest found. `unread`: its hypervisor could not be asked now, or a migration holds it. */
export type GuestLook =
  | { readonly kind: 'absent'; readonly sinceMs: number }
  | { readonly kind: 'unread'; readonly labelled: boolean }
  | {
      readonly kind: 'read';
      readonly labelled: boolean;
      readonly digest: string;
      readonly images?: readonly ImageStamp[] | undefined;
    };

/** A guest that is shut down and started again is absent for a moment; one that left is absent for good, ms. */
export const ABSENT_MS = 600_000;

export interface OfferStep {
  /** What the heartbeat says of it. */
  readonly beat: 'confirm' | 'mention' | 'withdraw';
  /** With `confirm`: what the guest is now. */
  readonly digest?: string;
  readonly images?: readonly ImageStamp[] | undefined;
  /** The description is to be made and sent again. */
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
  // A digest that differs is reported at once: the other host then refuses to start the guest by what it has.
  // What the other host has may be of another moment, although the guest is as it was then.
  if (digest === offer.digest && offer.isRefused === true)
    return { beat: 'mention', refresh: true };
  const refresh = digest !== offer.digest;
  return { beat: 'confirm', digest, ...defined({ images }), refresh };
}
