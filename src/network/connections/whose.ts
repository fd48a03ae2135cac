import { holds, parsePrefix } from '../../protocol/prefix.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import type { Connection } from '../../protocol/peer/connections.ts';
import type { NetworkFacts } from '../facts.ts';
import { RESERVED, ownAddresses } from '../routed.ts';

/**
 * Whose the connections are that another host hands over. That host names the addresses of its guest, and a host with a
 * stolen certificate would name any: an entry lets packets through a firewall, so this host judges each address by what it
 * sees itself. Pure.
 */

export interface Surrounding {
  readonly facts: Pick<NetworkFacts, 'addresses' | 'neighbours'>;
  /** Addresses of the fleet's hosts. */
  readonly hosts: readonly string[];
}

type Nic = Pick<NicNetwork, 'mac' | 'addresses' | 'attachment'>;

export interface AddressJudgement {
  /** Addresses of the guest, as far as this host knows nothing else. */
  readonly own: ReadonlySet<string>;
  /** Why the others are left out, in words. */
  readonly refused: readonly string[];
}

export function judgeAddresses(nics: readonly Nic[], around: Surrounding): AddressJudgement {
  const macs = new Set(nics.map(({ mac }) => mac.toLowerCase()));
  const own = new Set<string>();
  const refused: string[] = [];
  for (const { addresses, attachment } of nics) {
    // A route to it was judged before the guest was admitted, and others answer for it until it runs here.
    const routed = attachment.kind === 'routed' ? attachment.routes : [];
    for (const address of addresses) {
      const why = whyNot(address, macs, routed, around);
      if (why === undefined) own.add(address);
      else refused.push(`${address} ${why}`);
    }
  }
  return { own, refused };
}

/** Entries of the guest's own connections, and none with this host itself at the other end. */
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
