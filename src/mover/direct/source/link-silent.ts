import { godwitError } from '../../../errors.ts';
import type { SerialError } from '../../../errors.ts';
import type { SourceState } from '../../../migration/direct/source-state.ts';
import { formatDuration } from '../../../protocol/quantity.ts';

/** What to look at where nothing of the other host was heard over its link. */
function linkHint({ plan: { guest, from, to } }: Pick<SourceState, 'plan'>): string {
  return `Check the link between ${from} and ${to} (cable, switch, firewall, address), and that ${to} is up. ${guest} runs on at ${from}.`;
}

/** A question that took too long says nothing of the cause: over this link nothing was heard for so long. */
export function linkSilent(
  error: SerialError,
  address: string,
  state: Pick<SourceState, 'plan'>,
  silentMs: number,
): SerialError {
  if (error.code !== 'GODWIT_DEADLINE') return error;
  const reason = `nothing came over the link for ${formatDuration(Math.round(silentMs))}`;
  const facts = { peer: state.plan.to, address, reason };
  return godwitError('GODWIT_UNREACHABLE', facts, { hint: linkHint(state) }).toJSON();
}
