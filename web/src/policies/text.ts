/** What standing policies propose, in words. Pure. */
import { formatBytes, formatDuration } from '../../../src/protocol/quantity.ts';
import type {
  Benefit,
  PolicyMode,
  Proposal,
  ProposalCost,
} from '../../../src/protocol/controller/policy.ts';
import { count, counted } from '../base/text.ts';

/** A policy as a heading: `Balance load in the whole fleet`. */
export function policyTitle({ kind, scope }: Pick<Proposal, 'kind' | 'scope'>): string {
  return `${POLICY_WORDS[kind]} in ${scope === 'fleet' ? 'the whole fleet' : `the group ${scope}`}`;
}
const POLICY_WORDS = { balance: 'Balance load', consolidate: 'Free hosts' } as const;

/** What is proposed and why, in one sentence. The planner's text has the figures. */
export function proposalTitle({ reason, moves, benefit }: ProposalFacts): string {
  const [first] = moves;
  const from = first?.from ?? '';
  const to = new Set(moves.map((each) => each.to));
  const where = to.size === 1 ? [...to].join('') : counted(to.size, 'host');
  const what =
    moves.length === 1
      ? `Move ${first?.guest ?? ''} from ${from} to ${where}`
      : moves.every((each) => each.from === from)
        ? `Move ${counted(moves.length, 'guest')} from ${from} to ${where}`
        : `Move ${counted(moves.length, 'guest')} between ${counted(hostsOf(moves).size, 'host')}`;
  return `${what}: ${whyWords(reason, from, benefit)}`;
}
type ProposalFacts = Pick<Proposal, 'reason' | 'moves' | 'benefit'>;

const hostsOf = (moves: Proposal['moves']): Set<string> =>
  new Set(moves.flatMap(({ from, to }) => [from, to]));

function whyWords(reason: Proposal['reason'], from: string, { emptied }: Benefit): string {
  switch (reason) {
    case 'overload':
    case 'contention':
      return `guests on ${from} want more CPU than it has`;
    case 'spread':
      return `${from} is much busier than other hosts`;
    case 'empty-host':
      return `${emptied ?? from} is then empty and can be switched off`;
  }
}

/** The decision on a proposal, with a link to the moves that follow. */
export function decidedToast(
  what: 'accept' | 'reject' | 'snooze',
  requests: readonly string[],
): { readonly words: string; readonly link?: { readonly href: string; readonly words: string } } {
  if (what === 'reject') return { words: 'The proposal is rejected.' };
  if (what === 'snooze') return { words: 'The proposal is postponed.' };
  const [only, ...more] = requests;
  const href = only === undefined || more.length > 0 ? '/requests' : `/requests/${only}`;
  return {
    words: `The proposal is accepted: ${counted(requests.length, 'move')} requested.`,
    link: { href, words: more.length > 0 ? 'Show the moves' : 'Show the move' },
  };
}

/** What it brings, or `nothing measurable`. */
export function benefitText({ processorSeconds, watts, emptied }: Benefit): string {
  const parts = [
    ...(emptied === undefined ? [] : [`${emptied} is empty`]),
    ...(processorSeconds === undefined
      ? []
      : [`${coresText(processorSeconds / 3600)} more for guests`]),
    ...(watts === undefined ? [] : [`${count(Math.round(watts))} W saved`]),
  ];
  return parts.length === 0 ? 'nothing measurable' : parts.join(', ');
}

/** Mean over an hour. */
function coresText(cores: number): string {
  if (cores < 0.05) return 'less than 0.1 CPU cores';
  return `${cores.toFixed(cores < 10 ? 1 : 0)} CPU cores`;
}

/** What it takes: `4.1 GiB to send, 21.0 s, 60 ms of downtime`. */
export function costText({ bytes, seconds, downtimeMs }: ProposalCost): string {
  return `${formatBytes(bytes)} to send, ${formatDuration(seconds * 1000)}, ${formatDuration(downtimeMs)} of downtime`;
}

/** What accepting does; in the mode `approve` it is about all that the same look made. */
export function acceptWords(proposal: Proposal, mode: PolicyMode | undefined): string {
  const moves = counted(proposal.moves.length, 'guest');
  const first = `${moves} will move, with the same checks and limits as any other move. Moves that are not done within an hour are cancelled.`;
  return mode === 'approve'
    ? `${first} Its policy has the mode "approve": all proposals made at the same time are accepted with it.`
    : first;
}

export const isUndecided = ({ state }: Pick<Proposal, 'state'>): boolean =>
  state === 'open' || state === 'snoozed';

/** An accepted proposal whose requests have all ended waits for the next check of its policy, which measures the result. */
export function isMoved(
  { state, requests }: Pick<Proposal, 'state' | 'requests'>,
  hasEnded: (request: string) => boolean,
): boolean {
  return state === 'accepted' && requests.length > 0 && requests.every(hasEnded);
}
