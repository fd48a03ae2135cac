import { hasCode, toGodwitError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import { peerAgentContract as agentContract } from '../../../protocol/peer/agent-routes.ts';
import type { DestinationMoverRequest } from '../../../protocol/mover/request.ts';
import type { Reach } from '../../../rpc/reach.ts';
import type { Connect, Surroundings } from '../../engine/surroundings.ts';
import type { AskSource, Others } from './destination-context.ts';

const ANSWER_MS = 5000;
/** A path over which the source's host does not answer at once is left out: calls of the source may be waiting. */
const REACH_MS = 500;

/** Whom a destination turns to when its source is silent. */
export function othersOf(
  request: DestinationMoverRequest,
  { connect, log, reach, fence }: Surroundings,
): Others {
  const askSource = askSourceOf(request, connect, log, reach);
  return { askSource, fence, addresses: sourceAddresses(request) };
}

/** Where the source's agent listens, host:port, in the order in which they are tried. */
function sourceAddresses({ peer }: Pick<DestinationMoverRequest, 'peer'>): string[] {
  return [peer.address, ...(peer.addresses ?? [])];
}

/** Asks the source's agent, over each path to its host in turn. Without `reach`, no path is taken for dead. */
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
        // It answers, and cannot say: a version without the question, or one that has forgotten the migration.
        log.debug({ error: toGodwitError(thrown) }, 'agent of the source answered with an error');
        return { isDark: false };
      } finally {
        close();
      }
    }
    return { isDark: true };
  };
}
