import { godwitError } from '../../errors.ts';
import { isWithin } from '../../protocol/prefix.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { passes, refuses, type Finding } from './finding.ts';

export interface AdmissionFacts {
  readonly host: string;
  readonly guest: string;
  readonly from: string;
  /** Request that drains the destination; undefined while it is open. */
  readonly closedFor?: string | undefined;
  /** Unfinished migrations to this host, and the limit. */
  readonly coming: number;
  readonly limit: number;
  readonly comingFromOne: number;
  readonly limitOfOne: number;
  /** Held migrations from the asking host, kept until an operator decides. */
  readonly held: readonly string[];
  readonly heldLimit: number;
  /** Ended migrations from the asking host, which does not know how they ended. */
  readonly unheard: readonly string[];
  readonly unheardLimit: number;
  readonly nameInUse: boolean;
  /** Ports for movers and memory; `freePorts` is counted from the kernel's tables. */
  readonly ports: { readonly from: number; readonly to: number };
  readonly freePorts: number;
  readonly portsNeeded: number;
  /** Routes that the guest needs here, the allowed prefixes, and guests that have some. */
  readonly routes: readonly string[];
  readonly routedPrefixes: readonly string[];
  readonly othersRoutes: readonly { readonly guest: string; readonly routes: readonly string[] }[];
  /** Available memory, after the full needs of arriving guests, bytes. */
  readonly availableBytes: number;
  readonly neededBytes: number;
}

export function judgeOpen({ host, closedFor: request }: AdmissionFacts): Finding[] {
  if (request !== undefined) return [refuses(godwitError('GODWIT_HOST_CLOSED', { host, request }))];
  return [passes(`${host} is not being emptied`)];
}

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

export function judgeName({ host, guest, nameInUse }: AdmissionFacts): Finding[] {
  if (nameInUse) return [refuses(godwitError('GODWIT_NAME_IN_USE', { host, guest }))];
  return [passes(`${host} has no other ${guest}`)];
}

/** Checks routes against the configuration only; the mover checks the host later. */
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

export function judgePorts({ host, ports, freePorts, portsNeeded }: AdmissionFacts): Finding[] {
  if (freePorts < portsNeeded)
    return [refuses(godwitError('GODWIT_PORT_NONE', { host, ...ports }))];
  return [passes(`${freePorts} of the ports ${ports.from} to ${ports.to} are free`)];
}
