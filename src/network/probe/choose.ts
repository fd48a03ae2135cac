import { BlockList, isIPv4 } from 'node:net';
import { MAX_ADDRESSES, type Probing } from '../../protocol/peer/probe.ts';
import { PROBE_KINDS, type ProbeKind } from '../../protocol/public/probe.ts';
import { isSingle } from '../segment/frames.ts';

/** Chooses the probes of a guest and their order; the first with an answer is used. Pure. */

export interface Candidate {
  readonly kind: ProbeKind;
  readonly address: string;
  /** TCP and HTTP. */
  readonly port?: number;
}

/** Address of the guest, and its MAC. */
export interface Target {
  readonly address: string;
  readonly mac: string;
}

/** Configured addresses of a guest; a guest may be named `constructor`. */
export function configuredOf(
  addresses: Readonly<Record<string, readonly string[]>>,
  guest: string,
): readonly string[] {
  return Object.hasOwn(addresses, guest) ? (addresses[guest] ?? []) : [];
}

/** Addresses with a separate meaning on each link, including a host's services (a cloud's metadata). */
const LINK_LOCAL = new BlockList();
LINK_LOCAL.addSubnet('169.254.0.0', 16);
LINK_LOCAL.addSubnet('fe80::', 10, 'ipv6');

/** Unique probe targets from the NICs and this host's neighbours. `without`: addresses without a known NIC. */
export function targetsOf(
  nics: readonly { readonly mac: string; readonly addresses: readonly string[] }[],
  neighbours: readonly { readonly dst: string; readonly lladdr?: string | undefined }[],
  without: readonly string[] = [],
): Target[] {
  const all = nics.flatMap(({ mac, addresses }) => {
    const here = neighbours.filter(({ lladdr }) => lladdr?.toLowerCase() === mac);
    const own = [...addresses, ...here.map(({ dst }) => dst)];
    return [...new Set(own)].filter(isSingle).map((address) => ({ address, mac }));
  });
  const others = without.filter(isSingle).map((address) => ({ address, mac: '' }));
  return [...others, ...all].slice(0, MAX_ADDRESSES);
}

export function kindsOf({ kind, http }: Probing): ProbeKind[] {
  if (kind !== 'auto') return [kind];
  return PROBE_KINDS.filter((each) => each !== 'http' || http !== undefined);
}

/** IP probes of one kind; excludes link-local addresses, whose link is not this host's. */
export function candidates(
  kind: Exclude<ProbeKind, 'arp'>,
  targets: readonly Target[],
  { ports, http }: Probing,
): Candidate[] {
  const addresses = [...new Set(targets.map(({ address }) => address))].filter(
    (address) => !LINK_LOCAL.check(address, isIPv4(address) ? 'ipv4' : 'ipv6'),
  );
  return addresses.flatMap((address): Candidate[] => {
    switch (kind) {
      case 'icmp':
        return [{ kind, address }];
      case 'tcp':
        return ports.map((port) => ({ kind, address, port }));
      case 'http':
        return [{ kind, address, port: http?.port ?? 80 }];
    }
  });
}

const WORDS = { arp: 'ARP', icmp: 'ICMP', tcp: 'TCP', http: 'HTTP' } as const;

/** Reason for no watch, from each kind's failure. */
export function whyNone(
  failures: readonly { readonly kind: ProbeKind; readonly why: string }[],
): string {
  const each = failures.map(({ kind, why }) => `${WORDS[kind]}: ${why}`);
  return each.join('; ').slice(0, 1024) || 'nothing can be asked from here';
}
