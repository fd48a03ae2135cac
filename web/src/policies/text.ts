/** What standing policies propose, in words. Pure. */
import { formatBytes, formatDuration } from '../../../src/protocol/quantity.ts';
import type {
  Benefit,
  PolicyMode,
  Proposal,
  ProposalCost,
} from '../../../src/protocol/controller/policy.ts';
import { count, counted } from '../base/text.ts';

/** What it brings, or `nothing that could be measured`. */
export function benefitText({ processorSeconds, watts, emptied }: Benefit): string {
  const parts = [
    ...(emptied === undefined ? [] : [`${emptied} has no guest any more`]),
    ...(processorSeconds === undefined
      ? []
      : [
          `${count(Math.round(processorSeconds))} s of processor in the hour that guests would lack`,
        ]),
    ...(watts === undefined ? [] : [`${count(Math.round(watts))} W less`]),
  ];
  return parts.length === 0 ? 'nothing that could be measured' : parts.join(', ');
}

/** What it takes: `4.1 GiB, 21.0 s, 60 ms of downtime`. */
export function costText({ bytes, seconds, downtimeMs }: ProposalCost): string {
  return `${formatBytes(bytes)}, ${formatDuration(seconds * 1000)}, ${formatDuration(downtimeMs)} of downtime`;
}

/** What accepting does; in the mode `approve` it is about all that the same look made. */
export function acceptWords(proposal: Proposal, mode: PolicyMode | undefined): string {
  const moves = counted(proposal.moves.length, 'guest');
  const first = `${moves} ${proposal.moves.length === 1 ? 'is' : 'are'} asked to move, with the same checks and limits as any other move. What has not moved within an hour is cancelled.`;
  return mode === 'approve'
    ? `${first} Its policy takes the mode “approve”: all proposals of the same look are accepted with it.`
    : first;
}

export const isUndecided = ({ state }: Pick<Proposal, 'state'>): boolean =>
  state === 'open' || state === 'snoozed';
