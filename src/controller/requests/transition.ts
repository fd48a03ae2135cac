import type { FleetRequestPhase } from '../../protocol/controller/fleet-request.ts';

export const SITUATIONS = ['fulfilled', 'open', 'able', 'stuck', 'blind'] as const;
/**
 * How a request stands. `fulfilled`: what was asked is seen to be so, and no move is open. `open`: a move is, or memory is
 * reserved still. `able`: none is, and something is left to do. `stuck`: all that is left stays for good. `blind`: a
 * host is silent, or was never heard of, and nobody knows what is on it.
 */
export type Situation = (typeof SITUATIONS)[number];

const staysAs = (phase: FleetRequestPhase): Readonly<Record<Situation, FleetRequestPhase>> => ({
  fulfilled: phase,
  open: phase,
  able: phase,
  stuck: phase,
  blind: phase,
});

/** Each phase in each situation; the compiler holds it complete. Silence never makes a request done. */
const REQUESTS: Readonly<
  Record<FleetRequestPhase, Readonly<Record<Situation, FleetRequestPhase>>>
> = {
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

export function nextRequestPhase(
  phase: FleetRequestPhase,
  situation: Situation,
  cancelAsked: boolean,
): FleetRequestPhase {
  const now = cancelAsked && phase === 'working' ? 'cancelling' : phase;
  return REQUESTS[now][situation];
}
