import { hasCode, toGodwitError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import { agentContract } from '../../../protocol/contract.ts';
import type { DestinationMoverRequest } from '../../../protocol/mover/request.ts';
import type { Reach } from '../../../rpc/reach.ts';
import type { Connect } from '../../engine/surroundings.ts';
import type { AskSource } from './alone.ts';

const ANSWER_MS = 5000;
/** A way over which the source's host does not answer at once is left out: calls of the source may be waiting. */
const REACH_MS = 500;

/** Asks the source's agent, over each way to its host in turn. Without `reach`, no way is taken for dead. */
export function askSourceOf(
  { id, fromHost, peer }: DestinationMoverRequest,
  connect: Connect,
  log: Log,
  reach?: Reach,
): AskSource {
  return async (signal) => {
    for (const address of [peer.address, ...(peer.addresses ?? [])]) {
      if ((await reach?.(address, REACH_MS, signal)) === false) continue;
      const { api, close } = connect(agentContract, fromHost, address);
      try {
        const view = await api.side({ params: { id } }, { signal, deadlineMs: ANSWER_MS });
        return { isDark: false, view };
      } catch (thrown) {
        if (hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) continue;
        // It answers, and cannot tell: a version without the question, or one that has forgotten the migration.
        log.debug({ error: toGodwitError(thrown) }, 'the source’s agent does not tell');
        return { isDark: false };
      } finally {
        close();
      }
    }
    return { isDark: true };
  };
}
