import {
  newRequest,
  type FleetRequest,
  isRequestEnd,
} from '../../protocol/controller/fleet-request.ts';
import type { Policy, PolicyLook, Proposal, Benefit } from '../../protocol/controller/policy.ts';
import { boundedWords, clipped } from '../requests/bounds.ts';
import { isAt, whyClosed, type World } from '../requests/facts.ts';
import { roomBytes } from '../requests/room.ts';
import { subjectOfGuest, subjectOfHost, type Draft, type DraftResult } from './drafts.ts';
import type { Loads } from './loads.ts';

export const MAX_OPEN = 200;
/** A proposal that looks no longer make expires after this many. */
const EXPIRES_LOOKS = 3;
/** Accepted moves that have not begun by then are cancelled. */
export const OVERDUE_MS = 3_600_000;
const MAX_REFUSALS = 100;

export const subjectOf = ({ reason, moves }: Pick<Proposal, 'reason' | 'moves'>): string => {
  const [{ guest, from } = { guest: '', from: '' }] = moves;
  return reason === 'empty-host' ? subjectOfHost(from) : subjectOfGuest(guest, from);
};

export interface UpdateInput {
  readonly nowMs: number;
  readonly lookMs: number;
  readonly policy: Policy;
  readonly proposals: readonly Proposal[];
  readonly drafted: DraftResult;
  readonly world: World;
  readonly run: string;
  readonly ids: readonly string[];
}

export interface UpdateOutput {
  readonly proposals: readonly Proposal[];
  /** Drafts above the limit, made once others are decided. */
  readonly beyond: number;
}

export function updateProposals(input: UpdateInput): UpdateOutput {
  const { nowMs, lookMs, policy, proposals, drafted, run, ids } = input;
  const expiresAtMs = nowMs + EXPIRES_LOOKS * lookMs;
  const drafts = new Map(drafted.drafts.map((each) => [each.subject, each]));
  const changed: Proposal[] = [];
  let open = 0;
  for (const proposal of proposals) {
    const next = again(proposal, drafts.get(subjectOf(proposal)), input);
    if (next.state === 'open') open += 1;
    if (next.state === 'open' || next.state === 'snoozed' || next.state === 'accepted')
      drafts.delete(subjectOf(proposal));
    if (next !== proposal) changed.push(next);
  }
  const fresh = [...drafts.values()].slice(0, Math.max(0, MAX_OPEN - open));
  const { kind, scope } = policy;
  for (const [at, { subject: _subject, ...draft }] of fresh.entries()) {
    const id = ids[at];
    if (id === undefined) break;
    const times = { createdAtMs: nowMs, confirmedAtMs: nowMs, expiresAtMs };
    changed.push({ id, kind, scope, run, state: 'open', ...draft, ...times, requests: [] });
  }
  return { proposals: changed, beyond: drafts.size - fresh.length };
}

export interface LookSummary {
  readonly nowMs: number;
  readonly open: number;
  readonly accepted: number;
  readonly beyond: number;
  readonly refusals: readonly string[];
  /** Additional note: no data, or another balancer. */
  readonly note: string | undefined;
}

export function lookOf({
  nowMs,
  open,
  accepted: taken,
  beyond,
  refusals,
  note,
}: LookSummary): PolicyLook {
  const counts = [
    ...(taken > 0 ? [`${countOf(taken)} accepted`] : []),
    ...(open > 0 ? [`${countOf(open)} open`] : []),
  ];
  const more = beyond > 0 ? `, and ${beyond} more once those are decided` : '';
  const sum = counts.length === 0 ? 'nothing is to be moved' : `${counts.join(', ')}${more}`;
  const words = [...(note === undefined ? [] : [note]), sum];
  return {
    atMs: nowMs,
    words: clipped(words.join('; ')),
    refusals: boundedWords(refusals, MAX_REFUSALS),
  };
}

const countOf = (count: number): string =>
  `${count} ${count === 1 ? 'proposal is' : 'proposals are'}`;

/** The proposal after this look; the same object if nothing changed. */
function again(proposal: Proposal, draft: Draft | undefined, input: UpdateInput): Proposal {
  const { nowMs, lookMs, world } = input;
  const ended = (why: string): Proposal => ({
    ...proposal,
    state: 'expired',
    why,
    endedAtMs: nowMs,
  });
  if (proposal.state === 'snoozed') {
    return (proposal.snoozedUntilMs ?? 0) > nowMs
      ? proposal
      : ended('the time is over for which it was put off');
  }
  if (proposal.state !== 'open') return proposal;
  const impossible = whyImpossible(proposal, world);
  if (impossible !== undefined) return ended(impossible);
  if (draft !== undefined)
    return { ...proposal, confirmedAtMs: nowMs, expiresAtMs: nowMs + EXPIRES_LOOKS * lookMs };
  return proposal.expiresAtMs > nowMs ? proposal : ended('no look makes it any more');
}

function whyImpossible({ moves }: Pick<Proposal, 'moves'>, world: World): string | undefined {
  const coming = new Map<string, number>();
  for (const { guest, from, to } of moves) {
    const facts = world.guests.get(guest);
    if (!isAt(facts, from) || facts === undefined) return `${guest} is not on ${from} any more`;
    const host = world.hosts.get(to);
    if (host === undefined || host.silentSinceMs !== undefined) return `${to} is silent`;
    const closed = whyClosed(world, to);
    if (closed !== undefined) return closed;
    const bytes = (coming.get(to) ?? 0) + facts.memoryBytes;
    coming.set(to, bytes);
    if (bytes > roomBytes(world, to)) return `${to} has no memory for it any more`;
  }
  return undefined;
}

export function accepted(
  proposal: Proposal,
  { nowMs, by }: { readonly nowMs: number; readonly by: string },
): { readonly proposal: Proposal; readonly requests: readonly FleetRequest[] } {
  const requests = proposal.moves.map(({ guest, to }, at) => {
    const id = `r-${proposal.id.slice(2, 26)}${at.toString(36).padStart(3, '0')}`;
    const ask = {
      kind: 'migration' as const,
      guest,
      hosts: [],
      to: [to],
      priority: 0,
      settings: {},
    };
    return newRequest(id, ask, { nowMs, by });
  });
  const decided = { state: 'accepted' as const, decidedBy: by, decidedAtMs: nowMs };
  return {
    proposal: { ...proposal, ...decided, requests: requests.map(({ id }) => id) },
    requests,
  };
}

export interface MadeMove {
  readonly request: string;
  readonly seconds: number;
  readonly endedAtMs: number;
  readonly downtimeMs?: number;
  readonly bytes?: number;
}

export interface Standing {
  readonly nowMs: number;
  readonly requests: ReadonlyMap<string, FleetRequest>;
  readonly moves: readonly MadeMove[];
  readonly loads: Loads;
}

/** Closes an accepted proposal once its requests have ended, and adds the measured benefit later. */
export function followed(proposal: Proposal, standing: Standing): Proposal {
  const { nowMs, requests, moves, loads } = standing;
  if (proposal.state === 'accepted') {
    const own = proposal.requests.flatMap((id) => requests.get(id) ?? []);
    if (own.some(({ phase }) => !isRequestEnd(phase))) return proposal;
    const made = moves.filter(({ request }) => proposal.requests.includes(request));
    const seconds = made.reduce((sum, each) => sum + each.seconds, 0);
    const moved = new Set(made.map(({ request }) => request)).size;
    const state = moved === proposal.moves.length ? 'done' : 'left';
    const endedAtMs = Math.max(proposal.decidedAtMs ?? 0, ...made.map((each) => each.endedAtMs));
    const reported = { ...allOf('downtimeMs', made), ...allOf('bytes', made) };
    return { ...proposal, state, endedAtMs, actual: { moved, seconds, ...reported } };
  }
  const { actual, endedAtMs } = proposal;
  if (actual === undefined || endedAtMs === undefined || actual.benefit !== undefined)
    return proposal;
  if (proposal.state !== 'done' || nowMs < endedAtMs + MEASURED_MS + loads.lookMs) return proposal;
  const benefit = realised(proposal, endedAtMs, loads);
  return benefit === undefined ? proposal : { ...proposal, actual: { ...actual, benefit } };
}

function allOf(
  name: 'downtimeMs' | 'bytes',
  made: readonly MadeMove[],
): Partial<Record<'downtimeMs' | 'bytes', number>> {
  const values = made.flatMap((each) => each[name] ?? []);
  if (made.length === 0 || values.length < made.length) return {};
  return { [name]: values.reduce((sum, each) => sum + each, 0) };
}

/** Tells whether it can no longer change or mute other proposals. */
export function isSettled(proposal: Proposal, nowMs: number, rejectedMs: number): boolean {
  switch (proposal.state) {
    case 'open':
    case 'snoozed':
    case 'accepted':
      return false;
    case 'rejected':
      return (proposal.decidedAtMs ?? 0) + rejectedMs <= nowMs;
    case 'done':
      return (
        proposal.actual?.benefit !== undefined ||
        nowMs > (proposal.endedAtMs ?? 0) + 2 * MEASURED_MS
      );
    case 'left':
    case 'expired':
      return true;
  }
}

export function mutedBy(
  proposals: readonly Proposal[],
  nowMs: number,
  rejectedMs: number,
): { readonly guests: Set<string>; readonly hosts: Set<string> } {
  const muted = proposals.filter(
    (each) =>
      (each.state === 'rejected' && !isSettled(each, nowMs, rejectedMs)) ||
      (each.state === 'snoozed' && (each.snoozedUntilMs ?? 0) > nowMs),
  );
  const guests = new Set<string>();
  const hosts = new Set<string>();
  for (const { reason, moves } of muted) {
    const [{ guest, from } = { guest: '', from: '' }] = moves;
    if (reason === 'empty-host') hosts.add(from);
    else guests.add(guest);
  }
  return { guests, hosts };
}

/** The benefit is measured over the hour after the last move, with this many looks at least. */
const MEASURED_MS = 3_600_000;
const MIN_LOOKS = 6;

/**
 * Benefit in the hour after the moves: the load above the source's capacity that its guests and its other load would
 * have had together. An upper bound, because unserved demand is calculated.
 */
function realised(proposal: Proposal, endedAtMs: number, loads: Loads): Benefit | undefined {
  const { lookMs } = loads;
  const hosts = Map.groupBy(proposal.moves, ({ from }) => from);
  let processorSeconds = 0;
  let isEmpty = true;
  for (const [host, moves] of hosts) {
    const looks = loads
      .host(host)
      .filter(({ atMs }) => atMs >= endedAtMs && atMs + lookMs <= endedAtMs + MEASURED_MS);
    if (looks.length < MIN_LOOKS) return undefined;
    for (const { atMs, look, guestCores } of looks) {
      const usedBy = (sum: number, { guest }: { readonly guest: string }): number =>
        sum + (loads.guestAt(guest, atMs) ?? 0);
      const came = proposal.moves.filter(({ to }) => to === host);
      const gone = moves.reduce(usedBy, 0) - came.reduce(usedBy, 0);
      const beyond = Math.max(0, look.used * look.cores + gone - look.cores);
      processorSeconds += (beyond * lookMs) / 1000;
      if (guestCores > 0) isEmpty = false;
    }
  }
  const { emptied } = proposal.benefit;
  return { processorSeconds, ...(emptied !== undefined && isEmpty ? { emptied } : {}) };
}
