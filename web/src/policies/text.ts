/** What standing policies propose, in words. Pure. */
import { formatBytes, formatDuration } from '../../../src/protocol/quantity.ts';
import type {
  Benefit,
  PolicyMode,
  Proposal,
  ProposalCost,
} from '../../../src/protocol/controller/policy.ts';
import { count, counted } from '../base/text.ts';

/** What it brings, or `nothing measurable`. */
export function benefitText({ processorSeconds, watts, emptied }: Benefit): string {
  const parts = [
    ...(emptied === undefined ? [] : [`${emptied} has no guests left`]),
    ...(processorSeconds === undefined
      ? []
      : [`${count(Math.round(processorSeconds))} CPU seconds per hour that guests would lack`]),
    ...(watts === undefined ? [] : [`${count(Math.round(watts))} W less`]),
  ];
  return parts.length === 0 ? 'nothing measurable' : parts.join(', ');
}

/** What it takes: `4.1 GiB, 21.0 s, 60 ms of downtime`. */
export function costText({ bytes, seconds, downtimeMs }: ProposalCost): string {
  return `${formatBytes(bytes)}, ${formatDuration(seconds * 1000)}, ${formatDuration(downtimeMs)} of downtime`;
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
