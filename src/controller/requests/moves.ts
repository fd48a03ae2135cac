import type { MovePhase } from '../../protocol/controller/fleet-request.ts';

export const SEEN = [
  'accepted',
  'refused',
  'silent',
  'stale',
  'unknown',
  'going',
  'held',
  'done',
  'failed',
  'cancelled',
  'lost',
] as const;
/**
 * An agent's answer about a move. `silent`: no answer, so the state is unknown. `stale`: it has seen a higher epoch.
 * `unknown`: it has no such migration and has stored an epoch above all under which the move was ordered, so the move
 * will never begin.
 */
export type MoveAnswer = (typeof SEEN)[number];

const ENDS = { done: 'done', failed: 'failed', cancelled: 'cancelled', lost: 'lost' } as const;

const staysAs = <P extends MovePhase>(phase: P): Readonly<Record<MoveAnswer, P>> => ({
  accepted: phase,
  refused: phase,
  silent: phase,
  stale: phase,
  unknown: phase,
  going: phase,
  held: phase,
  done: phase,
  failed: phase,
  cancelled: phase,
  lost: phase,
});

/** Next phase for each phase and answer; the compiler checks completeness. Final phases are never left. */
const MOVES: Readonly<Record<MovePhase, Readonly<Record<MoveAnswer, MovePhase>>>> = {
  chosen: {
    ...ENDS,
    accepted: 'running',
    going: 'running',
    held: 'held',
    refused: 'withdrawing',
    silent: 'chosen',
    stale: 'chosen',
    // A request may still be on its way.
    unknown: 'chosen',
  },
  running: {
    ...ENDS,
    accepted: 'running',
    going: 'running',
    held: 'held',
    // A late answer to a repeated request changes nothing.
    refused: 'running',
    silent: 'running',
    stale: 'running',
    // An agent drops a migration long after its end; the guest's place decides (settle.ts).
    unknown: 'running',
  },
  withdrawing: {
    ...ENDS,
    accepted: 'withdrawing',
    going: 'running',
    held: 'held',
    refused: 'withdrawing',
    silent: 'withdrawing',
    stale: 'withdrawing',
    unknown: 'dropped',
  },
  held: {
    ...ENDS,
    accepted: 'held',
    going: 'running',
    held: 'held',
    refused: 'held',
    silent: 'held',
    stale: 'held',
    unknown: 'held',
  },
  done: staysAs('done'),
  failed: staysAs('failed'),
  cancelled: staysAs('cancelled'),
  lost: staysAs('lost'),
  dropped: staysAs('dropped'),
};

export const nextMovePhase = (phase: MovePhase, seen: MoveAnswer): MovePhase => MOVES[phase][seen];

const OPEN: Readonly<Record<MovePhase, boolean>> = {
  chosen: true,
  running: true,
  withdrawing: true,
  held: true,
  done: false,
  failed: false,
  cancelled: false,
  lost: false,
  dropped: false,
};
export const isOpen = (phase: MovePhase): boolean => OPEN[phase];

export type Cancel = 'no' | 'let-run' | 'roll-back';
/** `advance`: first take a new epoch, so that orders under the present one can be proved dead. */
export type Call = 'put' | 'cancel' | 'look' | 'store-epoch' | 'advance' | 'nothing';

export function callOf(
  { phase, askedEpoch }: { readonly phase: MovePhase; readonly askedEpoch: number },
  epoch: number,
  cancel: Cancel,
): Call {
  switch (phase) {
    case 'chosen':
      if (cancel !== 'no') return 'nothing';
      return askedEpoch < epoch ? 'store-epoch' : 'put';
    case 'withdrawing':
      return askedEpoch < epoch ? 'cancel' : 'advance';
    case 'running':
      return cancel === 'roll-back' ? 'cancel' : 'look';
    case 'held':
      return 'look';
    case 'done':
    case 'failed':
    case 'cancelled':
    case 'lost':
    case 'dropped':
      return 'nothing';
  }
}
