import { withDeadline } from '../../../../deadline.ts';
import { godwitError, hasCode, type GodwitError } from '../../../../errors.ts';
import type { BootTime } from '../../../../migration/boot-time.ts';
import {
  NO_DECISION,
  type Decision,
  type SourceState,
} from '../../../../migration/direct/source/source-state.ts';
import { answeredFor, type HostAnswer } from '../../../../migration/permission/host-answer.ts';
import {
  hostsInDoubt,
  isProofValid,
  judgeStart,
  type Claim,
  type StartPermission,
} from '../../../../migration/permission/permission.ts';
import type { AskFleet } from '../../../../protocol/peer/migration.ts';
import type { Fencing } from '../../../../host/fencing.ts';
import type { SourceMoverRequest } from '../../../../protocol/mover/request.ts';
import type { Surroundings } from '../../../shared/surroundings.ts';
import { ask, darkMs, type MigrationRun } from '../source-base.ts';
import type { StepContext } from '../ports.ts';

/** Wait for an unreachable destination whose refusal is needed, ms. */
const REFUSAL_MS = 60_000;
/** Same including a proof that it is off; an undo may take 110 s. */
const REFUSAL_AND_PROOF_MS = 105_000;

export type PermissionContext = StepContext<'peer' | 'host'>;

/** Asks for the destination's answer; variants accept a proof that its host is off. */
export type AskDestination = (
  context: PermissionContext,
  signal: AbortSignal,
) => Promise<HostAnswer>;

/**
 * Permission to run the guest here again; asks only the hosts that may hold a copy. GODWIT_RUNS_ELSEWHERE if another
 * host has the guest; GODWIT_HELD if safety is not proven.
 */
export async function permissionHere(
  context: PermissionContext,
  claim: Claim,
  askDestination: AskDestination,
  signal: AbortSignal,
): Promise<StartPermission> {
  // Read before: fencing the destination now keeps the operator's answers for the others valid.
  const { plan, known, decision } = context.state();
  const { guest, from: host, to: counterpart } = plan;
  const fleet = context.host.fleet.names();
  const asked = { guest, claim, counterpart, fleet };
  const doubtful = new Set(hostsInDoubt({ ...asked, now: context.host.bootTime() }));
  const answers = new Map<string, HostAnswer>();
  if (doubtful.has(counterpart)) {
    const answer =
      provedBefore(decision, context.host.bootTime()) ?? (await askDestination(context, signal));
    answers.set(counterpart, answer);
    // A refusal only covers this migration; the destination may have recovered the guest since.
    const wasOff = claim.kind === 'recovery' || claim.bootId !== context.host.bootTime().bootId;
    const isAskedAgain = wasOff && (answer.is === 'without' || answer.is === 'named');
    if (!isAskedAgain) doubtful.delete(counterpart);
  }
  const { id, createdAt: since } = context.request;
  const sought = { guest, uuid: known.description?.uuid, id, since };
  for (const [name, answer] of await context.host.fleet.ask([...doubtful], sought, signal)) {
    answers.set(name, answeredFor(name, answer, decision.answersFor, decision.at));
  }
  const verdict = judgeStart({ ...asked, now: context.host.bootTime(), answers });
  switch (verdict.kind) {
    case 'granted':
      return verdict.permission;
    case 'elsewhere': {
      const facts = { guest, host, other: verdict.host, reason: verdict.why };
      throw godwitError('GODWIT_RUNS_ELSEWHERE', facts);
    }
    case 'unproved':
      throw godwitError('GODWIT_HELD', { guest, reason: verdict.why });
  }
}

/**
 * Fleet question for a commit after a reboot of this host or an operator's order: another host may have recovered the
 * guest, so the destination asks every host. Otherwise undefined.
 */
export function fleetToAsk({ state, host }: StepContext<'host'>): AskFleet | undefined {
  const { plan, decision } = state();
  const now = host.bootTime();
  if (plan.bootId === now.bootId && decision === NO_DECISION) return undefined;
  return { answersFor: isProofValid(decision.at, now) ? [...decision.answersFor] : [] };
}

/** GODWIT_RUNS_ELSEWHERE if a third host has the guest; undefined if none shows it. */
export async function askForThird(
  context: StepContext<'host'>,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const { plan, known } = context.state();
  const { guest, from, to } = plan;
  const { id, createdAt: since } = context.request;
  const third = context.host.fleet.names().filter((host) => host !== to);
  const sought = { guest, uuid: known.description?.uuid, id, since };
  for (const [other, answer] of await context.host.fleet.ask(third, sought, signal)) {
    if (answer.is !== 'has') continue;
    return godwitError('GODWIT_RUNS_ELSEWHERE', { guest, host: from, other, reason: answer.why });
  }
  return undefined;
}

export function takeBackClaim(
  { right, closedByProof, plan }: SourceState,
  handedOver: boolean,
): Claim {
  return { kind: 'take-back', right, byProof: closedByProof, handedOver, bootId: plan.bootId };
}

/** A proof that is still valid replaces the destination's answer. */
function provedBefore({ proof, at }: Decision, now: BootTime): HostAnswer | undefined {
  if (proof === 'none' || !isProofValid(at, now)) return undefined;
  return { is: proof === 'fenced' ? 'off' : 'named', by: proof, at };
}

/** The destination's refusal, or, if it is dark, proof that its host is off. Otherwise GODWIT_HELD. */
export const refusalOrProof: AskDestination = (context, signal) => refusal(context, true, signal);

/** The destination's refusal; its host may have run the guest before it went off. Otherwise GODWIT_HELD. */
export const refusalOnly: AskDestination = (context, signal) => refusal(context, false, signal);

async function refusal(
  context: PermissionContext,
  orProof: boolean,
  signal: AbortSignal,
): Promise<HostAnswer> {
  const body = { epoch: context.state().plan.epoch };
  const limitMs =
    context.host.fenceMs === 0 ? REFUSAL_MS : darkMs(context.host.fenceMs, REFUSAL_AND_PROOF_MS);
  try {
    await withDeadline('the destination’s refusal', limitMs, signal, (bounded) =>
      ask(context, bounded, (api) => api.refuse({ body }, { signal: bounded, deadlineMs: 10_000 })),
    );
    return { is: 'without' };
  } catch (cause) {
    const isDark = hasCode(cause, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
    const fencing = orProof && isDark ? await context.host.fence(signal) : undefined;
    if (fencing?.off === true) return { is: 'off', by: fencing.by, at: context.host.bootTime() };
    const failure = cause instanceof Error ? cause.message : String(cause);
    const why = fencing === undefined ? failure : `${failure}; ${fencing.why}`;
    const reason = `everything was handed over and the destination gave no refusal: ${why}`;
    throw godwitError('GODWIT_HELD', { guest: context.request.request.guest, reason }, { cause });
  }
}

/** Proves that the destination's host is off, and journals the proof first. */
export async function proveOff(
  {
    request,
    state,
    record,
  }: Pick<MigrationRun, 'state' | 'record'> & {
    readonly request: Pick<SourceMoverRequest, 'peer'>;
  },
  { fence, log, bootTime }: Pick<Surroundings, 'fence' | 'log' | 'bootTime'>,
  signal: AbortSignal,
): Promise<Fencing | undefined> {
  const { plan, known } = state();
  const { id, guest, to } = plan;
  const { address, addresses: further = [] } = request.peer;
  const reported = [known.moverAddress, known.memoryAddress].filter((each) => each !== undefined);
  const addresses = [address, ...further, ...reported];
  const answer = await fence?.(to, { id, guest, side: 'destination', addresses }, signal);
  if (answer === undefined) return undefined;
  if (signal.aborted) return { off: false, why: 'nobody waited for the proof' };
  log.warn({ host: to, ...answer }, 'fencing hook called');
  if (answer.off) {
    await record({ type: 'fenced', host: to, by: answer.by, ...bootTime() });
  }
  return answer;
}
