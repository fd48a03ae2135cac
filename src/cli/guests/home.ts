import { godwitError, hasCode } from '../../errors.ts';
import { findGuest } from './fleet-guests.ts';
import {
  howToReach,
  incomplete,
  MAX_NAMED,
  reachHost,
  type Endpoint,
  type AgentSet,
} from '../connection/agent-set.ts';

/**
 * Asks the agent of a guest's own host. A single agent is simply asked: whoever speaks to it means the guest that it
 * has. Only when it does not have the guest is it searched for, and then it must be certain which one is meant.
 * GODWIT_USAGE where several hosts have one of that name, GODWIT_INCOMPLETE where a host that does not answer may.
 */
export async function askAtHome<T>(
  fleet: AgentSet,
  name: string,
  ask: (endpoint: Endpoint) => Promise<T>,
  /** Where the guest is to go. */
  to?: string,
): Promise<T> {
  const [only, ...others] = fleet.endpoints;
  if (others.length === 0 && fleet.directory === undefined) {
    try {
      return await ask(only);
    } catch (error) {
      if (!hasCode(error, 'GODWIT_GUEST_UNKNOWN')) throw error;
    }
  }
  const { guest, home, namesakesAt, missing } = await findGuest(fleet, name);
  if (namesakesAt.length > 0) throw severalHave(guest.name, [guest.host, ...namesakesAt]);
  const found = `the search for ${guest.name}, which ${guest.host} has,`;
  const lacks = incomplete(
    found,
    missing,
    missing.some(({ host }) => host === to)
      ? `${to} is the destination, and its agent does not answer. Start it there: \`systemctl start godwit-agent\`; \`godwit hosts\` shows whether it answers.`
      : `One of them may have another. ${howToName(guest.host)}`,
  );
  if (lacks !== undefined) throw lacks;
  if (home !== undefined) return ask(home);
  const reached = await reachHost(fleet, guest.host);
  if (reached !== undefined) return ask(reached);
  throw godwitError(
    'GODWIT_GUEST_UNKNOWN',
    { guest: guest.name, host: only.label },
    { hint: `It is on ${guest.host}: ${howToReach(guest.host)}` },
  );
}

function severalHave(guest: string, hosts: readonly string[]): Error {
  const named = hosts.slice(0, MAX_NAMED).toSorted().join(', ');
  const more = hosts.length > MAX_NAMED ? ` and ${hosts.length - MAX_NAMED} more` : '';
  const what = `which ${guest} is meant is not certain: ${named}${more} have one`;
  return godwitError('GODWIT_USAGE', { what }, { hint: howToName('HOST') });
}

/** How a person says which host's guest is meant. */
function howToName(host: string): string {
  return `To mean the guest of one host, run this there, or name that host's agent: --agent https://${host}:PORT with a certificate, in a lab --host ${host}.`;
}
