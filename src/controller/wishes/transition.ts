import type { WishPhase } from '../../protocol/controller/wish.ts';

export const SITUATIONS = ['fulfilled', 'open', 'able', 'stuck', 'blind'] as const;
/**
 * How a wish stands. `fulfilled`: what was asked is seen to be so, and no move is open. `open`: a move is, or memory is
 * reserved still. `able`: none is, and something is left to do. `stuck`: all that is left stays for good. `blind`: a
 * host is silent, or was never heard of, and nobody knows what is on it.
 */
export type Situation = (typeof SITUATIONS)[number];

const staysAs = (phase: WishPhase): Readonly<Record<Situation, WishPhase>> => ({
  fulfilled: phase,
  open: phase,
  able: phase,
  stuck: phase,
  blind: phase,
});

/** Each phase in each situation; the compiler holds it complete. Silence never makes a wish done. */
const WISHES: Readonly<Record<WishPhase, Readonly<Record<Situation, WishPhase>>>> = {
  working: {
    fulfilled: 'done',
    open: 'working',
    able: 'working',
    stuck: 'left',
    blind: 'working',
  },
  cancelling: {
    fulfilled: 'cancelled',
    open: 'cancelling',
    able: 'cancelled',
    stuck: 'cancelled',
    blind: 'cancelled',
  },
  done: staysAs('done'),
  left: staysAs('left'),
  cancelled: staysAs('cancelled'),
};

export function nextWishPhase(
  phase: WishPhase,
  situation: Situation,
  cancelAsked: boolean,
): WishPhase {
  const now = cancelAsked && phase === 'working' ? 'cancelling' : phase;
  return WISHES[now][situation];
}
