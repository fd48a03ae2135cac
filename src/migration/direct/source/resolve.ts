import type { DestinationState } from '../destination/destination.ts';
import { godwitError, type SerialError } from '../../../errors.ts';
import { beginUndo, enter, giveUp, lost, stay } from './state-changes.ts';
import { bootTimeIn, sourceRightAfter } from '../run-right.ts';
import { isCold } from '../cold.ts';
import type { Decision, SourceEvent, SourceState, Transition } from './source-state.ts';

/** Applies an operator's order, or a proof that the other host is off, to a migration at its source. */

export type ResolvedEvent = Extract<SourceEvent, { type: 'resolved' }>;
export type FencedEvent = Extract<SourceEvent, { type: 'fenced' }>;

export function whyNotResolved(state: SourceState, event: ResolvedEvent): string | undefined {
  const { doing, right, plan } = state;
  if (doing.kind !== 'end' || doing.outcome !== 'held') return 'it is not held';
  if (event.runAt === 'source') {
    if (right !== 'passed') return undefined;
    return `${plan.to} has said that it runs the guest: what ${plan.from} holds is older`;
  }
  if (event.runAt === 'elsewhere') {
    const isEnded = event.here !== 'running' && event.here !== 'unknown';
    return isEnded ? undefined : `its copy at ${plan.from} runs, or cannot be asked`;
  }
  if (right === 'passed') return undefined;
  if (right === 'held' || right === 'abandoned') {
    return `the epoch is closed: ${plan.to} has refused, or was never given the right to run`;
  }
  const gave = state.stream === 'done' || event.here === 'handed-over' || event.here === 'gone';
  return gave ? undefined : `${plan.from} has not handed everything over`;
}

/** Resumes a held migration: back, forward, or ended because a third host has the guest. */
export function onResolved(state: SourceState, event: ResolvedEvent): Transition {
  if (whyNotResolved(state, event) !== undefined) return stay(state);
  const again: SourceState = {
    ...state,
    because: undefined,
    unsure: false,
    cancelled: false,
    attempts: 0,
    leftovers: [],
  };
  switch (event.runAt) {
    case 'source':
      return takeBack(again, event);
    case 'destination':
      return goOn(again, event);
    case 'elsewhere':
      return giveUp(again, elsewhere(state, event));
  }
}

/** `ask` needs the destination's refusal as usual; otherwise a proof or an operator replaces it. */
function takeBack(state: SourceState, event: ResolvedEvent): Transition {
  const { proof, by, here, answersFor = [] } = event;
  const error = takenBack(state, by);
  const decision: Decision = {
    proof: proof === 'ask' ? 'none' : proof,
    answersFor,
    at: bootTimeIn(event),
    ...(event.insists === true && isMemoryStale(state) && { fromMemory: true }),
  };
  // Half of the guest is here and its other half is gone.
  if (proof !== 'ask' && state.via === 'postcopy' && here === 'handed-over') {
    const reason = `post-copy had begun, and ${state.plan.to} has no copy of it any more`;
    return lost(proved(state, decision), reason);
  }
  const decided = proof === 'ask' ? { ...state, decision } : proved(state, decision);
  return beginUndo(decided, 'switchover', error);
}

/**
 * Commit may always be sent again, since the destination judges it. For a guest that runs there, only the remaining
 * steps follow.
 */
function goOn(state: SourceState, event: ResolvedEvent): Transition {
  if (state.right === 'passed') {
    const drained = state.via === 'precopy' || state.stream === 'done' || isCold(state);
    return enter(state, drained ? 'verify' : 'drain');
  }
  const via = state.via === 'none' && !isCold(state) ? 'precopy' : state.via;
  // The destination must answer for itself.
  const answersFor = (event.answersFor ?? []).filter(({ host }) => host !== state.plan.to);
  const decision = { proof: 'none', answersFor, at: bootTimeIn(event) } as const;
  return enter({ ...state, via, decision }, 'commit');
}

/** The destination's host is off, and its copy is gone. */
export function onFenced(state: SourceState, fenced: FencedEvent): Transition {
  const { doing } = state;
  const { host, by } = fenced;
  const decision = { proof: 'fenced', answersFor: [], at: bootTimeIn(fenced) } as const;
  if (doing.kind !== 'do' && doing.kind !== 'undo') return stay(state);
  const gone = `${host} was shown to be off by ${by}`;
  if (doing.kind === 'undo') return stay(proved(state, decision));
  if (doing.step === 'commit') {
    const next = proved(state, decision);
    if (state.via === 'postcopy') return lost(next, `post-copy had begun, and ${gone}`);
    return beginUndo(next, 'switchover', takenBack(state, by));
  }
  if (doing.step === 'drain' || doing.step === 'verify') {
    return lost({ ...state, closedByProof: true, decision }, gone);
  }
  return stay(state);
}

function proved(state: SourceState, decision: Decision): SourceState {
  const right = sourceRightAfter(state.right, 'proved');
  if (right === undefined) return state;
  const sent = state.right === 'committing' && ({ mayHaveRunThere: true } as const);
  return { ...state, right, closedByProof: true, decision, ...sent };
}

/**
 * True if the guest's memory here may be older than its storage: the destination may have run it on a disk or volume
 * that both hosts see. Resumed from that memory, a VM would corrupt its file systems, so it must start from its
 * disks.
 */
export function isMemoryStale({
  mayHaveRunThere,
  known,
}: Pick<SourceState, 'mayHaveRunThere' | 'known'>): boolean {
  if (mayHaveRunThere !== true) return false;
  const { places = [], description } = known;
  // A VM writes to the top images of its disks, a container to its volumes.
  if (description?.disks === undefined) return places.length > 0;
  const tops = description.disks.flatMap(({ images: [top] }) => top ?? []);
  const written = new Set(tops.filter(({ readOnly }) => !readOnly).map(({ node }) => node));
  return places.some(({ node }) => written.has(node));
}

/** The guest certainly never ran at the destination: no commit was sent, or the destination refused it. */
export function neverRanThere({
  right,
  mayHaveRunThere,
}: Pick<SourceState, 'right' | 'mayHaveRunThere'>): boolean {
  return right !== 'committing' && right !== 'passed' && mayHaveRunThere !== true;
}

function elsewhere({ plan }: SourceState, { by, elsewhere: third }: ResolvedEvent): SerialError {
  const other = third?.host ?? 'another host';
  const reason = third === undefined ? `has it, as ${by} answers` : `has it: ${third.why}`;
  const facts = { guest: plan.guest, host: plan.from, other, reason };
  return godwitError('GODWIT_RUNS_ELSEWHERE', facts).toJSON();
}

function takenBack({ plan }: SourceState, by: string): SerialError {
  return godwitError('GODWIT_TAKEN_BACK', { guest: plan.guest, host: plan.from, by }).toJSON();
}

export function whyNotHere(state: DestinationState): string | undefined {
  const { right, stage, hypervisor, streamFailed } = state;
  if (right === 'running') return undefined;
  if (stage === 'released' || right === 'refused') return 'it has refused, and taken its copy down';
  if (right === 'none') return 'it was never armed';
  if (streamFailed) return 'its memory stream has failed';
  if (hypervisor === 'paused') return undefined;
  return hypervisor === 'gone' ? 'its hypervisor is gone' : 'its memory is not all here';
}
