import { covers, holds, parsePrefix, type Prefix } from '../protocol/prefix.ts';
import type { Attachment } from '../protocol/network.ts';
import type { NetworkFacts, Route } from './facts.ts';

type RoutedAttachment = Extract<Attachment, { kind: 'routed' }>;

export interface RoutedRules {
  /** Networks for their addresses and gateways; empty: no routed guests. */
  readonly prefixes: readonly string[];
  /** Addresses of the fleet's hosts, which no guest may have. */
  readonly hosts: readonly string[];
  readonly unresolved?: readonly string[];
}

export const NO_ROUTED: RoutedRules = { prefixes: [], hosts: [] };

export interface RoutedRefusal {
  readonly what: string;
  readonly hint: string;
}

/** Addresses that no guest may have, in any configured network. */
export const RESERVED = [
  ['0.0.0.0/8', 'unspecified'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved or broadcast'],
  ['::/127', 'unspecified or loopback'],
  ['::ffff:0:0/96', 'an address of IPv4 inside one of IPv6'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
] as const;

const LINK_LOCAL_V6 = 'fe80::/10';

/**
 * Checks the routes and gateways that a peer requests for a guest's port. A gateway becomes an address of this host,
 * so it must be one already, or be named by the administrator. Undefined if all are allowed. Pure.
 */
export function refuseRouted(
  own: Pick<RoutedAttachment, 'routes' | 'gateways'>,
  rules: RoutedRules,
  facts: NetworkFacts,
): RoutedRefusal | undefined {
  for (const route of own.routes) {
    const refusal = refuseRoute(route, rules, facts);
    if (refusal !== undefined) return refusal;
  }
  for (const gateway of own.gateways) {
    const refusal = refuseGateway(gateway, rules, facts);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function refuseRoute(
  text: string,
  rules: RoutedRules,
  facts: NetworkFacts,
): RoutedRefusal | undefined {
  const route = parsePrefix(text);
  if (route === undefined || route.length !== route.width) {
    return { what: `${text} is not a route to one address`, hint: HOST_ROUTE };
  }
  const reserved = RESERVED.find(([network]) => holds([network], route));
  if (reserved !== undefined) {
    return { what: `${text} is no guest’s address: it is ${reserved[1]}`, hint: HOST_ROUTE };
  }
  if (ownAddresses(facts).some((each) => holds([each], route))) {
    return { what: `${text} is an address of this host`, hint: ANOTHER };
  }
  if (holds(rules.hosts, route)) {
    return { what: `${text} is an address of another host of the fleet`, hint: ANOTHER };
  }
  if (!holds(rules.prefixes, route)) return outside(`the route ${text}`, text, rules);
  const [unresolved] = rules.unresolved ?? [];
  if (unresolved !== undefined) {
    const what = `it is unknown whether ${text} is an address of ${unresolved}, whose name has no address now`;
    return { what, hint: RESOLVE };
  }
  return refuseTaken(text, route, facts);
}

function refuseGateway(
  text: string,
  rules: RoutedRules,
  facts: NetworkFacts,
): RoutedRefusal | undefined {
  const gateway = parsePrefix(text);
  // Each link has that network separately.
  if (gateway !== undefined && holds([LINK_LOCAL_V6], gateway)) return undefined;
  if (gateway === undefined || gateway.length !== gateway.width) {
    return {
      what: `the gateway ${text} on its port would take a whole network to it`,
      hint: 'Give the port at the source its gateway as /32 or /128, or one of IPv6 that is link-local.',
    };
  }
  if (holds(rules.hosts, gateway)) {
    return { what: `its gateway ${text} is another host of the fleet`, hint: ANOTHER };
  }
  if (ownAddresses(facts).some((each) => holds([each], gateway))) return undefined;
  if (!holds(rules.prefixes, gateway)) return outside(`its gateway ${text}`, text, rules);
  const [unresolved] = rules.unresolved ?? [];
  if (unresolved !== undefined) {
    const what = `it is unknown whether its gateway ${text} is ${unresolved}, whose name has no address now`;
    return { what, hint: RESOLVE };
  }
  return refuseTaken(text, gateway, facts);
}

const HOST_ROUTE = 'Give the guest a host route at its source, to an address of its own.';
const RESOLVE =
  'Name hosts under `peers` by their IP addresses, or see why the name server is silent.';
const ANOTHER = 'Give the guest an address that no host has.';

function outside(who: string, text: string, { prefixes }: RoutedRules): RoutedRefusal {
  const allowed =
    prefixes.length === 0 ? 'this host allows none' : `allowed are ${prefixes.join(', ')}`;
  return {
    what: `${who} is outside of the networks for routed guests: ${allowed}`,
    hint: `If guests may have it, add "${text}" or a network around it to \`network.routedPrefixes\` in the configuration of the destination.`,
  };
}

/** Names and numbers in iproute2 of daemons that distribute routes to guests. */
const DAEMONS = new Set(
  'zebra 11 bird 12 xorp 14 babel 42 openr 99 bgp 186 isis 187 ospf 188 rip 189 eigrp 192'.split(
    ' ',
  ),
);

/** Kernel's metric for routes without one. */
const DEFAULT_METRIC = { 32: 0, 128: 1024 } as const;

/**
 * An existing route belongs to someone else. A routing daemon's route may lead to the guest's current host; ours is
 * added next to it, with another metric.
 */
function refuseTaken(text: string, wanted: Prefix, facts: NetworkFacts): RoutedRefusal | undefined {
  const address = text.replace(/\/\d+$/, '');
  for (const route of exactly(wanted, facts.routes)) {
    const over = route.dev === undefined ? '' : ` over ${route.dev}`;
    const isPort = facts.links.some(({ ifname, kind }) => ifname === route.dev && kind === 'tun');
    if (isPort) {
      return {
        what: `this host routes ${address} to its own port ${route.dev}`,
        hint: 'Another guest here has that address, or an earlier one left its port: remove it first.',
      };
    }
    if (!DAEMONS.has(route.protocol ?? '')) {
      return {
        what: `this host has a route to ${address}${over} already`,
        hint: `See \`ip route show exact ${text}\`, and remove it if it is for this guest.`,
      };
    }
    if (hasDefaultMetric(route, wanted)) {
      return {
        what: `a routing daemon of this host has the only place for a route to ${address}${over}`,
        hint: 'Give the routes of the daemon a metric of their own (FRR has 20, BIRD 32).',
      };
    }
  }
  return undefined;
}

/** True if a route has the metric of a route without one. Pure. */
export function hasDefaultMetric(route: Route, { width }: Pick<Prefix, 'width'>): boolean {
  const usual = DEFAULT_METRIC[width];
  return (route.metric ?? usual) === usual;
}

function exactly(wanted: Prefix, routes: readonly Route[]): Route[] {
  return routes.filter(({ dst }) => {
    const found = parsePrefix(dst);
    return found !== undefined && covers(wanted, found) && covers(found, wanted);
  });
}

export function ownAddresses(facts: Pick<NetworkFacts, 'addresses'>): string[] {
  return facts.addresses.flatMap(({ addr_info: held }) => held.map(({ local }) => local));
}
