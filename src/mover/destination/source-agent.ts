import { hasCode, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { agentContract } from '../../protocol/contract.ts';
import type { DestinationMoverRequest } from '../../protocol/mover-request.ts';
import type { Connect } from '../surroundings.ts';
import type { AskSource } from './alone.ts';

const ANSWER_MS = 5000;

/** Asks the source's agent, over each way to its host in turn. */
export function askSourceOf(
  { id, fromHost, peer }: DestinationMoverRequest,
  connect: Connect,
  log: Log,
): AskSource {
  return async (signal) => {
    for (const address of [peer.address, ...(peer.addresses ?? [])]) {
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
