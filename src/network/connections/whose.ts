import { holds, parsePrefix } from '../../protocol/prefix.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import type { Connection } from '../../protocol/peer/connections.ts';
import type { NetworkFacts } from '../facts.ts';
import { RESERVED, ownAddresses } from '../routed.ts';

/**
 * Filters handed-over connections by this host's knowledge of their addresses. An entry lets packets through a
 * firewall, and a host with a stolen certificate could name any address. Pure.
 */

export interface Surrounding {
  readonly facts: Pick<NetworkFacts, 'addresses' | 'neighbours'>;
  readonly hosts: readonly string[];
}

type Nic = Pick<NicNetwork, 'mac' | 'addresses' | 'attachment'>;

export interface AddressJudgement {
  readonly own: ReadonlySet<string>;
  readonly refused: readonly string[];
}

export function judgeAddresses(nics: readonly Nic[], around: Surrounding): AddressJudgement {
  const macs = new Set(nics.map(({ mac }) => mac.toLowerCase()));
  const own = new Set<string>();
  const refused: string[] = [];
  for (const { addresses, attachment } of nics) {
    // The route was judged at admission; other hosts answer for it until the guest runs here.
    const routed = attachment.kind === 'routed' ? attachment.routes : [];
    for (const address of addresses) {
      const why = whyNot(address, macs, routed, around);
      if (why === undefined) own.add(address);
      else refused.push(`${address} ${why}`);
    }
  }
  return { own, refused };
}

/** The guest's entries, without connections to this host itself. */
export function ownEntries(
  entries: readonly Connection[],
  { own }: AddressJudgement,
  { facts }: Pick<Surrounding, 'facts'>,
): Connection[] {
  const ofHost = new Set(ownAddresses(facts).filter((each) => !own.has(each)));
  return entries.filter(({ original, reply }) => {
    const ends = [original.from, original.to, reply.from, reply.to];
    return ends.some((each) => own.has(each)) && !ends.some((each) => ofHost.has(each));
  });
}

function whyNot(
  address: string,
  macs: ReadonlySet<string>,
  routed: readonly string[],
  { facts, hosts }: Surrounding,
): string | undefined {
  const prefix = parsePrefix(address);
  if (prefix === undefined) return 'is no address';
  const reserved = RESERVED.find(([network]) => holds([network], prefix));
  if (reserved !== undefined && reserved[1] !== 'link-local') return `is ${reserved[1]}`;
  if (ownAddresses(facts).some((each) => holds([each], prefix))) return 'is one of this host';
  if (holds(hosts, prefix)) return 'is one of another host of the fleet';
  if (holds(routed, prefix)) return undefined;
  const other = facts.neighbours.find(
    ({ dst, lladdr }) =>
      lladdr !== undefined && !macs.has(lladdr.toLowerCase()) && holds([dst], prefix),
  );
  return other === undefined ? undefined : `is one of ${other.lladdr ?? ''} here`;
}
