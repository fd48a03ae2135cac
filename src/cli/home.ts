import { godwitError, hasCode } from '../errors.ts';
import { findGuest, reachHost } from './agent-set.ts';
import type { Endpoint, AgentSet } from './agent-set.ts';

/**
 * Asks the agent of a guest's own host. A single agent is simply asked, which saves a look at its guests; only when it
 * does not have the guest is it searched for.
 */
export async function askAtHome<T>(
  fleet: AgentSet,
  name: string,
  ask: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  const [only, ...others] = fleet.endpoints;
  if (others.length === 0) {
    try {
      return await ask(only);
    } catch (error) {
      if (!hasCode(error, 'GODWIT_GUEST_UNKNOWN')) throw error;
    }
  }
  const { guest, endpoint, home } = await findGuest(fleet, name);
  if (home) return ask(endpoint);
  const reached = await reachHost(fleet, guest.host);
  if (reached !== undefined) return ask(reached);
  throw godwitError(
    'GODWIT_GUEST_UNKNOWN',
    { guest: guest.name, host: endpoint.label },
    { hint: `It is on ${guest.host}: run this there, or name that host's agent with --agent.` },
  );
}
