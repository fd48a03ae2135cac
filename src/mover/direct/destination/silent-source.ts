import { godwitError, hasCode } from '../../../errors.ts';
import { whyNotHere } from '../../../migration/direct/source/resolve.ts';
import type {
  DestinationEvent,
  DestinationState,
} from '../../../migration/direct/destination/destination.ts';
import type { Proof } from '../../../migration/direct/run-right.ts';
import type { StartPermission } from '../../../migration/permission/permission.ts';
import { isToBeStarted } from '../../../migration/direct/cold.ts';
import {
  afterSourceEnd,
  onSilence,
  type OnSilence,
} from '../../../migration/direct/destination/silence.ts';
import type {
  HostDoubts,
  ResolveAnswer,
  RunAtSide,
  SideView,
} from '../../../protocol/public/resolve.ts';
import { isEnd } from '../../../protocol/public/migration.ts';
import type { TakingDown } from './lifecycle.ts';
import { takeDownMs, type AskSource, type DestinationContext } from './destination-context.ts';

/** Actions of a destination without its source: by itself, or by an operator's order. */

/** Time to ask the source over each path, and to prove that it is off, ms. */
const ASK_MS = 120_000;

export interface Hands {
  readonly context: Pick<DestinationContext, 'bootTime' | 'config' | 'log' | 'others' | 'placeIds'>;
  readonly state: () => DestinationState;
  readonly record: (event: DestinationEvent) => Promise<void>;
  /** Resumes the guest, whose right is journaled; obtains `permission` from the journal if absent. */
  readonly run: (signal: AbortSignal, permission?: StartPermission) => Promise<void>;
  /** Asks the hypervisor whether the guest runs here, and records it if so. */
  readonly runsHere: (signal: AbortSignal) => Promise<boolean>;
  /** `known`: the source has ended and never asks for the outcome. */
  readonly settle: (signal: AbortSignal, known?: boolean) => Promise<void>;
  readonly release: (
    why: string,
    signal: AbortSignal,
    how?: Omit<TakingDown, 'why'>,
  ) => Promise<void>;
  readonly tearDown: (signal: AbortSignal) => Promise<void>;
}

/** True if something here depends on the source, so that its silence matters. */
export function isForsaken(state: DestinationState): boolean {
  if (state.stage === 'released' || state.stage === 'finished') return false;
  return state.right === 'running' || onSilence(state) !== 'wait';
}

/**
 * Asks the source's agent first, if possible. A running guest is settled only if the source has not closed the epoch
 * without this side's refusal; until it can be asked, the guest stays unsettled.
 */
export async function actOnSilence(hands: Hands, leaseMs: number): Promise<void> {
  const { log, others } = hands.context;
  const signal = AbortSignal.timeout(ASK_MS + takeDownMs(hands.state()));
  // A call may have arrived while this waited for its turn.
  let action = onSilence(hands.state());
  if (!isForsaken(hands.state())) return;
  const source = await others?.askSource?.(signal);
  if (await overruled(hands, source?.view, signal)) return;
  if (await recallRun(hands, source?.view)) action = onSilence(hands.state());
  const isDark = source?.isDark === true;
  if (isDark && isProvedAndUnrun(hands.state())) {
    if (!(await hands.runsHere(signal))) await runWithProof(hands, signal);
    return;
  }
  if (action === 'wait' || !hasLeave(hands.state(), action, source)) return;
  log.warn({ leaseMs, action }, 'the source is silent');
  switch (action) {
    case 'finish':
      await settleOrBury(hands, signal);
      return;
    case 'tear-down':
      await hands.tearDown(signal);
      return;
    case 'release':
      if (isDark && (await runWithProof(hands, signal))) return;
      await giveUp(hands, leaseMs, signal);
      return;
  }
}

/**
 * Asks the agent of a silent mover whether the migration has ended there, and follows that end. Without an answer
 * nothing is done; only lasting silence has consequences.
 */
export async function endWithSource(hands: Hands): Promise<void> {
  const { log, others } = hands.context;
  const signal = AbortSignal.timeout(takeDownMs(hands.state()));
  const view = (await others?.askSource?.(signal))?.view;
  if (view === undefined || view.epoch !== hands.state().admission.epoch) return;
  const action = afterSourceEnd(hands.state(), view.phase);
  if (action === 'wait') return;
  log.warn({ phase: view.phase, action }, 'it has ended at the source');
  switch (action) {
    case 'release':
      // A source that lost the guest may still ask whether it ran here.
      return hands.release(`the migration ${view.phase} at ${view.host}`, signal, {
        neverRan: view.neverRanThere,
        known: view.phase !== 'lost',
      });
    case 'tear-down':
      return hands.tearDown(signal);
    case 'finish':
      return hands.settle(signal, true);
  }
}

/**
 * A running guest is not settled while its source cannot be asked, or may still take it back on a proof that this
 * host is off. A settled guest may be sent to a third host. A source that has forgotten the migration permits neither
 * settling nor giving up what it may have handed over.
 */
function hasLeave(
  { right }: DestinationState,
  action: OnSilence,
  source: Awaited<ReturnType<AskSource>> | undefined,
): boolean {
  // This mover cannot ask, so silence has to do.
  if (source === undefined || action === 'tear-down') return true;
  if (action === 'finish') return source.view !== undefined && isOverThere(source.view);
  if (source.view !== undefined) return true;
  return source.isDark || right === 'none' || right === 'refused';
}

/** True if it never takes the guest back: it knows that the guest runs here, or has ended. */
function isOverThere({ phase, right }: SideView): boolean {
  return right === 'passed' || (isEnd(phase) && phase !== 'held');
}

/** Finds an unnoticed end of the hypervisor; the next round removes the remains. */
async function settleOrBury(hands: Hands, signal: AbortSignal): Promise<void> {
  try {
    await hands.settle(signal);
  } catch (thrown) {
    if (!hasCode(thrown, 'GODWIT_HYPERVISOR_LOST')) throw thrown;
    const event = { type: 'lost', reason: thrown.message } as const;
    await hands.record({ type: 'hypervisor', event });
  }
}

async function giveUp(hands: Hands, leaseMs: number, signal: AbortSignal): Promise<void> {
  const { unsure, admission } = hands.state();
  const reason = `silent for ${leaseMs} ms`;
  const facts = { peer: admission.from, address: 'its mover', reason };
  const error = godwitError('GODWIT_UNREACHABLE', facts).toJSON();
  await hands.record({ type: 'failed', error });
  // After a reboot nothing of the guest is left here; whether it ran is still not for this side to say.
  await hands.release('the source is silent', signal, { mayRefuse: !unsure });
}

/** Asks at a takeover, because the migration may have ended long ago. */
export async function askOnReturn(hands: Hands): Promise<void> {
  if (!isForsaken(hands.state())) return;
  const signal = AbortSignal.timeout(ASK_MS + takeDownMs(hands.state()));
  const source = (await hands.context.others?.askSource?.(signal))?.view;
  if (source === undefined || !isForsaken(hands.state())) return;
  if (await overruled(hands, source, signal)) return;
  if (await recallRun(hands, source)) return;
  const { admission, right } = hands.state();
  const isOver = ['rehearsed', 'failed', 'cancelled'].includes(source.phase);
  if (!isOver || source.epoch !== admission.epoch || right === 'running') return;
  const { neverRanThere: neverRan } = source;
  await hands.release(`${source.host} has ended it as ${source.phase}`, signal, { neverRan });
}

/** The source closed the epoch without this side's refusal. It runs the guest, or gave it up to a third host. */
async function overruled(
  hands: Hands,
  source: SideView | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const state = hands.state();
  const { admission, right, unsure } = state;
  const { epoch } = admission;
  if (source === undefined || source.epoch !== epoch) return false;
  // A source that failed with an unanswered commit gave its copy up: a third host has the guest. Copied images stay,
  // because they have the guest's last writes if a power loss here took the record that it ran.
  const isElsewhere =
    source.phase === 'failed' &&
    source.right === 'committing' &&
    isToBeStarted(state) &&
    (state.preparation?.copies ?? []).length === 0;
  if (source.right !== 'abandoned' && !isElsewhere) return false;
  if (right !== 'running' && !unsure) return false;
  if (unsure && source.neverRanThere === true) {
    const why = `${source.host} has ended it and sent no commit`;
    await hands.release(why, signal, { neverRan: true });
    return true;
  }
  const why = isElsewhere
    ? `${source.host} has given the guest up: a third host has it`
    : `${source.host} has taken the guest back without this side’s refusal`;
  hands.context.log.warn({ epoch }, why);
  await hands.record({ type: 'overruled', epoch, why });
  await hands.release(why, signal);
  return true;
}

/**
 * This host lost its power, and with it the record that the guest ran here. Its source has heard that it ran: it is not to be
 * started again, and what is left of it is settled as after any end of a guest.
 */
async function recallRun(hands: Hands, source: SideView | undefined): Promise<boolean> {
  const state = hands.state();
  const { epoch } = state.admission;
  if (source?.right !== 'passed' || source.epoch !== epoch) return false;
  const isForgotten = state.unsure && state.right === 'armed';
  if (!isForgotten && !isToBeStarted(state)) return false;
  if (isForgotten) await hands.record({ type: 'running', epoch, resumeMs: 0 });
  else await hands.record({ type: 'hypervisor', event: { type: 'resumed' } });
  return true;
}

/**
 * An earlier mover had the proof but did not run the guest. A new proof is needed, since the source may be on by now.
 */
function isProvedAndUnrun({ right, proved, hasRun, stage }: DestinationState): boolean {
  return stage === 'prepared' && right === 'running' && proved !== undefined && !hasRun;
}

/** All of the guest is here, and its source is proved off: run it here. */
async function runWithProof(hands: Hands, signal: AbortSignal): Promise<boolean> {
  const state = hands.state();
  const { fence, addresses = [] } = hands.context.others ?? {};
  const isOpen = state.right === 'armed' || isProvedAndUnrun(state);
  if (fence === undefined || !isOpen || whyNotHere(state) !== undefined) return false;
  const { id, guest, from } = state.admission;
  const answer = await fence(from, { id, guest, side: 'source', addresses }, signal);
  hands.context.log.warn({ host: from, ...answer }, 'fencing hook called');
  if (!answer.off) return false;
  await runHere(hands, 'fenced', answer, signal);
  return true;
}

async function runHere(
  hands: Hands,
  proof: Proof,
  { by, answersFor = [] }: Pick<Order, 'by' | 'answersFor'>,
  signal: AbortSignal,
): Promise<void> {
  const { epoch } = hands.state().admission;
  await hands.record({
    type: 'resolved',
    epoch,
    proof,
    by: by.slice(0, 128),
    ...hands.context.bootTime(),
    answersFor: [...answersFor],
  });
  await hands.run(signal);
}

export interface Order {
  readonly runAt: RunAtSide;
  readonly proof: ResolveAnswer['proof'];
  readonly by: string;
  readonly answersFor?: readonly HostDoubts[] | undefined;
}

/** Operator's order, if the source cannot be asked. GODWIT_RESOLVE_REFUSED if it cannot be followed. */
export async function followOrder(hands: Hands, order: Order): Promise<ResolveAnswer> {
  const { runAt, proof, by } = order;
  const state = hands.state();
  const { guest, id, from } = state.admission;
  const signal = AbortSignal.timeout(takeDownMs(state));
  if (runAt === 'source') {
    const isUnrun = isProvedAndUnrun(state) && !(await hands.runsHere(signal));
    if (state.right === 'running' && !isUnrun) throw cannot(state, runAt, 'the guest runs here');
    if (isUnrun) {
      const { epoch } = state.admission;
      await hands.record({ type: 'overruled', epoch, why: `${by} gave it up before it ran` });
    }
    const mayRefuse = !state.unsure;
    if (state.stage !== 'released') await hands.release(`${by} gave it up`, signal, { mayRefuse });
    const what = `${state.host} has given ${guest} up; ${from} finds that out when it comes back`;
    return { what, proof: 'ask' };
  }
  const why = whyNotHere(state);
  if (why !== undefined) throw cannot(state, runAt, why);
  const runs = state.right === 'running' && (await hands.runsHere(signal));
  if (!runs) {
    if (proof === 'ask') throw cannot(state, runAt, `${from} has not given it the right to run`);
    await runHere(hands, proof, order, signal);
  }
  return { what: `${guest} runs at ${state.host} (${id})`, proof };
}

function cannot({ admission }: DestinationState, runAt: RunAtSide, reason: string): Error {
  const { id, guest } = admission;
  return godwitError('GODWIT_RESOLVE_REFUSED', { id, guest, runAt, reason });
}
