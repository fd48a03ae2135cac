import type { Proposal } from '../../protocol/controller/policy.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { printable } from '../../words/style.ts';
import { renderTable, type Look } from '../../words/table.ts';

export function namesIn(text: string | undefined): string[] | undefined {
  const names = text
    ?.split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  return names?.length === 0 ? undefined : names;
}

export function proposalTable(proposals: readonly Proposal[], look: Look): string {
  const rows = proposals.map(({ id, kind, state, moves, words, cost }) => [
    id,
    kind,
    state,
    movesText(moves),
    formatDuration(cost.seconds * 1000),
    printable(words),
  ]);
  return renderTable(['PROPOSAL', 'POLICY', 'STATE', 'MOVES', 'TAKES', 'WHY'], rows, look);
}

function movesText(moves: Proposal['moves']): string {
  const [first] = moves;
  if (first === undefined) return '';
  const { guest, from, to } = first;
  return moves.length === 1 ? `${guest}: ${from} → ${to}` : `${moves.length} guests of ${from}`;
}

export function proposalText(proposal: Proposal): string {
  const { id, kind, scope, state, words, moves, cost, decidedBy, why, requests } = proposal;
  return [
    `${id}: ${kind} of ${scope}: ${state}${decidedBy === undefined ? '' : ` by ${printable(decidedBy)}`}\n`,
    `why: ${printable(words)}\n`,
    ...(why === undefined ? [] : [`because: ${printable(why)}\n`]),
    ...moves.map(({ guest, from, to, alternatives }) => {
      const others =
        alternatives.length === 0 ? '' : ` (also possible: ${alternatives.join(', ')})`;
      return `move: ${guest}: ${from} → ${to}${others}\n`;
    }),
    `brings: ${benefitText(proposal.benefit)}\n`,
    `costs: ${formatBytes(cost.bytes)}, ${formatDuration(cost.seconds * 1000)} of moves, ${formatDuration(cost.downtimeMs)} without the guest, by prediction\n`,
    ...cameTo(proposal),
    ...(requests.length === 0 ? [] : [`requests: ${requests.join(', ')}\n`]),
  ].join('');
}

function cameTo({ actual, moves }: Proposal): string[] {
  if (actual === undefined) return [];
  const { moved, seconds, downtimeMs, bytes, benefit } = actual;
  const reported = [
    ...(bytes === undefined ? [] : [formatBytes(bytes)]),
    ...(downtimeMs === undefined ? [] : [`${formatDuration(downtimeMs)} without the guest`]),
  ].map((each) => `, ${each}`);
  const brought = benefit === undefined ? '' : `; brought ${benefitText(benefit)}`;
  return [
    `came to: ${moved} of ${moves.length} moved in ${formatDuration(seconds * 1000)}${reported.join('')}${brought}\n`,
  ];
}

function benefitText({ processorSeconds, watts, emptied }: Proposal['benefit']): string {
  const parts = [
    ...(processorSeconds === undefined
      ? []
      : [`${Math.round(processorSeconds)} processor-seconds within an hour`]),
    ...(emptied === undefined ? [] : [`${emptied} has no guest`]),
    ...(watts === undefined ? [] : [`${Math.round(watts)} W once it is off`]),
  ];
  return parts.length === 0 ? 'not known' : parts.join(', ');
}
