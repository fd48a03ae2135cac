import {
  WHOLE_FLEET,
  type PolicyKind,
  type Policy,
  type Proposal,
} from '../../protocol/controller/policy.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import { usualNextHour } from '../inventory/guest-hours.ts';
import { fleetLooks } from '../inventory/guest-looks.ts';
import type { FleetView } from '../engine/ports.ts';
import type { Store } from '../store/store.ts';
import type { Policies, PolicyChange } from '../store/policies.ts';
import type { PolicyView } from '../store/policy-view.ts';
import { settingsOf } from '../store/proposal-rows.ts';
import type { Requests } from '../store/requests.ts';
import type { World } from '../requests/facts.ts';
import { draftsOf, type DraftResult } from './drafts.ts';
import { sampleWarnings } from './unreliable-samples.ts';
import { whyNoChoice } from './few-hosts.ts';
import { foreignMoves, otherBalancerWords } from './foreign-moves.ts';
import { inventoryFor } from './inventory.ts';
import { leftToManagersWords } from './left-to-managers.ts';
import { Loads, STALE_LOOKS } from './loads.ts';
import {
  accepted,
  followed,
  isSettled,
  updateProposals,
  lookOf,
  mutedBy,
  OVERDUE_MS,
} from './proposals.ts';

export interface LookDependencies {
  readonly store: Store;
  readonly policies: Policies;
  readonly requests: Requests;
  readonly fleet: FleetView;
  readonly newId: () => string;
  /** An automatic policy puts empty hosts to sleep here. */
  readonly setsPower: boolean;
  readonly lookMs: number;
}

const NOTHING: DraftResult = { drafts: [], refusals: [], wake: [] };

export interface LookAt {
  readonly kind: PolicyKind;
  readonly scope: string;
  /** Requested by a person: it proposes even if the policy is off, and accepts nothing itself. */
  readonly asked?: boolean;
}

/** Returns the changes to write. Reads only. */
export async function lookFor(
  deps: LookDependencies,
  { kind, scope, asked = false }: LookAt,
): Promise<PolicyChange> {
  const { store, policies, requests, fleet, lookMs } = deps;
  const stored = await policies.view(kind, scope);
  const mode = asked ? 'propose' : stored.policy.mode;
  const view = { ...stored, policy: { ...stored.policy, mode } };
  const world = { ...(await requests.world()), ...(await fleet.look()) };
  const loads = new Loads(lookMs);
  for await (const look of fleetLooks(store, lookMs)) loads.add(look);
  const usual = await usualNextHour(store);
  const { newId, setsPower } = deps;
  return changeOf(view, { world, loads, usual, setsPower }, newId);
}

interface PolicyObservation {
  readonly world: World;
  readonly loads: Loads;
  /** Expected cores per guest in the next hour, by earlier days. */
  readonly usual: ReadonlyMap<string, number>;
  readonly setsPower: boolean;
}

export function changeOf(
  view: PolicyView,
  seen: PolicyObservation,
  newId: () => string,
): PolicyChange {
  const { nowMs, policy } = view;
  const { world, loads } = seen;
  const isOurs = scopeOf(view);
  const other = otherBalancerIn(view, loads, isOurs);
  const leftToManagers = leftToManagersWords(
    [...world.hosts.values()].filter(({ name }) => isOurs(name)),
    policy.kind,
  );
  const few = whyNoChoice(policy, world, isOurs);
  const note = withWords(
    whyNothing(policy, seen, nowMs, { few, other }),
    policy.mode,
    leftToManagers,
  );
  const proposals = view.proposals.map((each) =>
    followed(each, { nowMs, requests: view.requests, moves: view.made, loads }),
  );
  const drafted = note.blocks ? NOTHING : drafts(view, seen, isOurs);
  const ids = drafted.drafts.map(() => `p-${newId()}`);
  const { lookMs } = loads;
  const made = { policy, proposals, drafted, world, run: newId(), ids };
  const output = updateProposals({ nowMs, lookMs, ...made });
  const changed = new Map(output.proposals.map((each) => [each.id, each]));
  for (const [at, each] of proposals.entries()) {
    const before = view.proposals[at];
    const ends = before !== undefined && isSettled(each, nowMs, policy.rejectedMs);
    if ((each !== before || ends) && !changed.has(each.id)) changed.set(each.id, each);
  }
  const acts = policy.mode === 'automatic' && !note.blocks;
  const by = `the policy ${policy.kind} of ${policy.scope}`;
  const decided = [...changed.values()].map((each) =>
    acts && each.state === 'open'
      ? accepted(each, { nowMs, by })
      : { proposal: each, requests: [] },
  );
  const warnings = policy.mode === 'off' ? [] : sampleWarnings({ world, loads, isOurs });
  const after = [
    ...proposals.filter(({ id }) => !changed.has(id)),
    ...decided.map(({ proposal }) => proposal),
  ];
  const look = lookOf({
    nowMs,
    open: after.filter(({ state }) => state === 'open').length,
    accepted: decided.filter(({ requests }) => requests.length > 0).length,
    beyond: output.beyond,
    refusals: [...warnings, ...drafted.refusals],
    note: note.words,
  });
  const cancel = overdue(proposals, nowMs);
  return { look, proposals: decided, cancel, wake: drafted.wake };
}

export function scopeOf({ policy, groups }: Pick<PolicyView, 'policy' | 'groups'>) {
  const own = new Set(policy.hosts);
  const grouped = new Set(groups.flatMap(({ hosts }) => hosts));
  return policy.scope === WHOLE_FLEET
    ? (host: string): boolean => !grouped.has(host)
    : (host: string): boolean => own.has(host);
}

function otherBalancerIn(view: PolicyView, loads: Loads, isOurs: (host: string) => boolean) {
  return otherBalancerWords(foreignMoves(loads.moves, view.own), isOurs);
}

interface Note {
  readonly words?: string;
  readonly blocks: boolean;
}

function whyNothing(
  { mode, kind }: Policy,
  { loads, setsPower }: PolicyObservation,
  nowMs: number,
  { few, other }: Record<'few' | 'other', string | undefined>,
): Note {
  if (mode === 'off') return { words: 'it is off', blocks: true };
  if (few !== undefined) return { words: few, blocks: true };
  if (loads.newestMs === 0) {
    return {
      words: `no look at what guests use is over yet: the first one takes up to ${formatDuration(2 * loads.lookMs)}`,
      blocks: true,
    };
  }
  const age = nowMs - loads.newestMs - loads.lookMs;
  if (age > STALE_LOOKS * loads.lookMs) {
    return {
      words: `nothing was reported of what guests use for ${formatDuration(age)}`,
      blocks: true,
    };
  }
  if (other !== undefined && mode === 'automatic')
    return { words: `left alone: ${other}`, blocks: true };
  const power = kind === 'consolidate' ? powerWords(mode, setsPower) : undefined;
  const words = [other, power].filter((each) => each !== undefined).join('; ');
  return words === '' ? { blocks: false } : { words, blocks: false };
}

function withWords(note: Note, mode: Policy['mode'], more: string | undefined): Note {
  if (more === undefined || mode === 'off') return note;
  return { ...note, words: note.words === undefined ? more : `${note.words}; ${more}` };
}

function powerWords(mode: Policy['mode'], setsPower: boolean): string | undefined {
  if (!setsPower)
    return 'Godwit powers no host off or on here: what is proposed are the moves alone';
  return mode === 'automatic'
    ? undefined
    : 'hosts without guests are put to sleep once this policy is automatic';
}

function drafts(
  view: PolicyView,
  { world, loads, usual }: PolicyObservation,
  isOurs: (host: string) => boolean,
): DraftResult {
  const { policy, proposals, nowMs, past, asked } = view;
  const muted = mutedBy(proposals, nowMs, policy.rejectedMs);
  const { guests: mutedGuests, hosts: mutedHosts } = muted;
  const { kind } = policy;
  const known = { kind, world, loads, usual, past, asked, isOurs, mutedGuests, mutedHosts };
  const isThere = (host: string): boolean => world.marks.get(host)?.power === undefined;
  return draftsOf(kind, inventoryFor(known), settingsOf(policy), isThere);
}

const overdue = (proposals: readonly Proposal[], nowMs: number): string[] =>
  proposals
    .filter((each) => each.state === 'accepted' && nowMs > (each.decidedAtMs ?? 0) + OVERDUE_MS)
    .flatMap(({ requests }) => requests);
