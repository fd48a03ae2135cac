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
 * Calls the agent of a guest's host. A single agent is called directly; only if it does not have the guest is the guest
 * searched for, and then it must be unambiguous. GODWIT_USAGE if several hosts have that name, GODWIT_INCOMPLETE if a
 * host without an answer may.
 */
export async function askAtHome<T>(
  fleet: AgentSet,
  name: string,
  ask: (endpoint: Endpoint) => Promise<T>,
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

function howToName(host: string): string {
  return `To mean the guest of one host, run this there, or name that host's agent: --agent https://${host}:PORT with a certificate, in a lab --host ${host}.`;
}
