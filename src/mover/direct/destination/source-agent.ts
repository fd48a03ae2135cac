import { hasCode, toGodwitError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import { peerAgentContract as agentContract } from '../../../protocol/peer/agent-routes.ts';
import type { DestinationMoverRequest } from '../../../protocol/mover/request.ts';
import type { Reach } from '../../../rpc/reach.ts';
import type { Connect, Surroundings } from '../../shared/surroundings.ts';
import type { AskSource, Others } from './destination-context.ts';

const ANSWER_MS = 5000;
/** Time for an answer on a path; calls of the source may wait for it. */
const REACH_MS = 500;

export function othersOf(
  request: DestinationMoverRequest,
  { connect, log, reach, fence }: Surroundings,
): Others {
  const askSource = askSourceOf(request, connect, log, reach);
  return { askSource, fence, addresses: sourceAddresses(request) };
}

/** host:port of the source's agent, in the order of attempts. */
function sourceAddresses({ peer }: Pick<DestinationMoverRequest, 'peer'>): string[] {
  return [peer.address, ...(peer.addresses ?? [])];
}

/** Asks the source's agent over each path in turn. Without `reach`, no path counts as dead. */
function askSourceOf(
  request: DestinationMoverRequest,
  connect: Connect,
  log: Log,
  reach?: Reach,
): AskSource {
  const { id, fromHost } = request;
  return async (signal) => {
    for (const address of sourceAddresses(request)) {
      if ((await reach?.(address, REACH_MS, signal)) === false) continue;
      const { api, close } = connect(agentContract, fromHost, address);
      try {
        const view = await api.side({ params: { id } }, { signal, deadlineMs: ANSWER_MS });
        return { isDark: false, view };
      } catch (thrown) {
        if (hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) continue;
        // An old version, or one that has forgotten the migration.
        log.debug({ error: toGodwitError(thrown) }, 'agent of the source answered with an error');
        return { isDark: false };
      } finally {
        close();
      }
    }
    return { isDark: true };
  };
}
