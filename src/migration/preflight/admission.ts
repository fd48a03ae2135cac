import { godwitError } from '../../errors.ts';
import { isWithin } from '../../protocol/prefix.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { passes, refuses, type Finding } from './finding.ts';

/** What a destination knows when another host asks to send it a guest. */
export interface AdmissionFacts {
  readonly host: string;
  readonly guest: string;
  readonly from: string;
  /** The request of the fleet that empties the destination; undefined while it is open. */
  readonly closedFor?: string | undefined;
  /** Migrations to this host that have not ended, and how many it allows. */
  readonly coming: number;
  readonly limit: number;
  /** Of those, from the host that asks. */
  readonly comingFromOne: number;
  readonly limitOfOne: number;
  /** Held migrations from the host that asks, kept until a person decides. */
  readonly held: readonly string[];
  readonly heldLimit: number;
  /** Ended migrations from the host that asks, which has not heard how they ended. */
  readonly unheard: readonly string[];
  readonly unheardLimit: number;
  /** The destination has a guest of that name, or one is on its way to it. */
  readonly nameInUse: boolean;
  /** Of the destination, for movers and memory; `freePorts` is counted from its kernel’s tables. */
  readonly ports: { readonly from: number; readonly to: number };
  readonly freePorts: number;
  readonly portsNeeded: number;
  /** What the destination is to route to the guest, the networks that it has for that, and the guests that come with some. */
  readonly routes: readonly string[];
  readonly routedPrefixes: readonly string[];
  readonly othersRoutes: readonly { readonly guest: string; readonly routes: readonly string[] }[];
  /** Of the destination, what others on their way take counted in full, bytes. */
  readonly availableBytes: number;
  /** Of the guest, bytes. */
  readonly neededBytes: number;
}

/** Whether the destination admits guests at all now. */
export function judgeOpen({ host, closedFor: request }: AdmissionFacts): Finding[] {
  if (request !== undefined) return [refuses(godwitError('GODWIT_HOST_CLOSED', { host, request }))];
  return [passes(`${host} is not being emptied`)];
}

/** Whether the destination takes one more guest now. */
export function judgeIncoming(facts: AdmissionFacts): Finding[] {
  const { host, from, coming, limit, comingFromOne, limitOfOne, held, heldLimit } = facts;
  const { unheard, unheardLimit } = facts;
  if (coming >= limit) {
    const what = `${host}, in migrations to it at once,`;
    const hint = `Wait for some of them to end, or raise \`limits.migrationsIn\` of ${host}.`;
    return [refuses(godwitError('GODWIT_OVERLOADED', { what, limit }, { hint }))];
  }
  if (held.length >= heldLimit) {
    const what = `${host}, in held migrations from ${from},`;
    const hint = `Decide on them: \`godwit resolve ${held[0]}\`, and so on.`;
    return [refuses(godwitError('GODWIT_OVERLOADED', { what, limit: heldLimit }, { hint }))];
  }
  if (unheard.length >= unheardLimit) {
    const what = `${host}, in ended migrations from ${from} of which it has not heard the end,`;
    const hint = `Look at ${from} why \`godwit report ${unheard[0]}\` has not ended there, and so on.`;
    return [refuses(godwitError('GODWIT_OVERLOADED', { what, limit: unheardLimit }, { hint }))];
  }
  if (comingFromOne >= limitOfOne) {
    const what = `${host}, in migrations from ${from} to it at once,`;
    const hint = `Wait for some of them to end, or raise \`limits.migrationsInFromOne\` of ${host}.`;
    return [refuses(godwitError('GODWIT_OVERLOADED', { what, limit: limitOfOne }, { hint }))];
  }
  return [passes(`${coming} of ${limit} come to ${host} now`)];
}

/** Whether a guest can have its name at the destination. */
export function judgeName({ host, guest, nameInUse }: AdmissionFacts): Finding[] {
  if (nameInUse) return [refuses(godwitError('GODWIT_NAME_IN_USE', { host, guest }))];
  return [passes(`${host} has no other ${guest}`)];
}

/** Whether the destination may lead to the guest, as far as its configuration says. Its mover looks at the host later. */
export function judgeRoutes(facts: AdmissionFacts): Finding[] {
  const { host, guest, from: peer, routes, routedPrefixes, othersRoutes } = facts;
  if (routes.length === 0) return [passes(`${host} routes nothing to it`)];
  const refusal = (what: string): Finding[] => {
    const reported = { host, guest, peer, part: 'routes', what };
    return [refuses(godwitError('GODWIT_DESCRIPTION_REFUSED', reported))];
  };
  for (const route of routes) {
    if (!isWithin(route, routedPrefixes)) {
      return refusal(`${route}: allowed are ${routedPrefixes.join(', ') || 'none'}`);
    }
    const other = othersRoutes.find((each) =>
      each.routes.some((taken) => isWithin(route, [taken])),
    );
    if (other !== undefined)
      return refusal(`${route}: ${other.guest}, which comes here too, has it`);
  }
  return [passes(`${host} may route ${routes.join(', ')}`)];
}

/** Whether the destination has memory for the guest. */
export function judgeMemory({
  host,
  guest,
  availableBytes,
  neededBytes,
}: AdmissionFacts): Finding[] {
  if (availableBytes >= neededBytes) {
    return [passes(`${formatBytes(availableBytes)} free, ${formatBytes(neededBytes)} needed`)];
  }
  const facts = { host, guest, availableBytes, neededBytes };
  return [refuses(godwitError('GODWIT_MEMORY_SHORT', facts))];
}

/** Whether the destination has ports for the migration. */
export function judgePorts({ host, ports, freePorts, portsNeeded }: AdmissionFacts): Finding[] {
  if (freePorts < portsNeeded)
    return [refuses(godwitError('GODWIT_PORT_NONE', { host, ...ports }))];
  return [passes(`${freePorts} of the ports ${ports.from} to ${ports.to} are free`)];
}
