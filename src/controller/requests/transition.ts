import type { FleetRequestPhase } from '../../protocol/controller/fleet-request.ts';

export const SITUATIONS = ['fulfilled', 'open', 'able', 'stuck', 'blind'] as const;
/**
 * Situation of a request. `fulfilled`: the requested state is confirmed, no move is open. `open`: a move is open, or
 * memory is reserved. `able`: guests remain to be moved. `stuck`: all remaining guests stay for good. `blind`: a host
 * is silent or never answered, so its guests are unknown.
 */
export type Situation = (typeof SITUATIONS)[number];

const staysAs = (phase: FleetRequestPhase): Readonly<Record<Situation, FleetRequestPhase>> => ({
  fulfilled: phase,
  open: phase,
  able: phase,
  stuck: phase,
  blind: phase,
});

/** Next phase for each phase and situation; the compiler checks completeness. Silence never completes a request. */
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
