import { godwitError, hasCode } from '../errors.ts';
import { findGuest } from './fleet-guests.ts';
import { howToReach, reachHost } from './agent-set.ts';
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
  const { guest, home } = await findGuest(fleet, name);
  if (home !== undefined) return ask(home);
  const reached = await reachHost(fleet, guest.host);
  if (reached !== undefined) return ask(reached);
  throw godwitError(
    'GODWIT_GUEST_UNKNOWN',
    { guest: guest.name, host: only.label },
    { hint: `It is on ${guest.host}: ${howToReach(guest.host)}` },
  );
}
