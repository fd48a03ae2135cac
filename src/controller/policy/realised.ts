import type { Benefit, Proposal } from '../../protocol/controller/policy.ts';
import type { Loads } from './loads.ts';

/** What a proposal brought is measured over the hour after its last move; by so many looks at least. */
export const MEASURED_MS = 3_600_000;
const MIN_LOOKS = 6;

/**
 * What the moves of a proposal brought in the hour after they ended: what its guests and all else on the source would
 * have used together, beyond what the source has. Demand that went unserved is reckoned, not seen, so this is an upper
 * bound of what was saved. Undefined where the hosts were not watched for long enough.
 */
export function realised(proposal: Proposal, endedAtMs: number, loads: Loads): Benefit | undefined {
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
