import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { LOADED_ROUND_TRIPS } from '../prediction/parameters.ts';
import { passes, warns, type Finding } from './finding.ts';

/** Checks of the link to the destination and its effects on a migration. Pure. */

/** The route that packets take out of the source, as its kernel has it. */
export interface RouteOut {
  /** The network device. */
  readonly device: string;
  /** As the device says, bytes/s; absent where it says nothing. */
  readonly bytesPerS?: number | undefined;
  /** Networks of guests of this host leave over it too. */
  readonly hasGuests: boolean | undefined;
  /** The default route leads over it. */
  readonly isDefault: boolean;
}

export interface LinkFacts {
  readonly source: { readonly name: string };
  readonly destination: { readonly name: string };
  /** The shortest of several, ms; absent where it was not measured. */
  readonly roundTripMs?: number | undefined;
  /** What one TCP connection to the destination may have under way, bytes; absent where a relay ends the connection. */
  readonly windowBytes?: number | undefined;
  /** Memory may go by post-copy: for a time the guest’s memory is on both hosts, and each page that it lacks comes over the link. */
  readonly mayPostcopy: boolean;
  /** What is known of its rate before anything is measured for this. */
  readonly link?: LinkMeasure | undefined;
  /** Absent where it is not known: through a relay, or by an earlier build. */
  readonly routeOut?: RouteOut | undefined;
  /** The guest's. */
  readonly memoryBytes?: number | undefined;
}

/** From here on a migration takes notice of the path to the other host, ms. */
export const LONG_MS = 5;
/** From here on others than the migration do: clusters, services that stay behind, ms. */
const FAR_MS = 50;
/** Beyond this, what waits for the other host at every step hardly goes on, ms. */
const VERY_LONG_MS = 150;
/** What an Ethernet of 1 Gbit/s carries of a stream, less what measuring it misses, bytes/s. */
export const MIN_RATE = 110e6;

/** Checks whether the path between the hosts is long, and how that affects a migration and its guest. */
export function judgeRoundTrip(facts: LinkFacts): Finding[] {
  const { destination, roundTripMs } = facts;
  if (roundTripMs === undefined) return [];
  const shown = formatDuration(roundTripMs < 10 ? roundTripMs : Math.round(roundTripMs));
  const evidence = `a round trip to ${destination.name} takes ${shown} at most`;
  if (roundTripMs <= LONG_MS) return [passes(evidence)];
  const feels = feltOf(facts, roundTripMs, shown);
  if (roundTripMs <= VERY_LONG_MS) return [warns(evidence, feels.join(' '))];
  const words = `${evidence}: more than ${VERY_LONG_MS} ms`;
  return [
    warns(words, [`Use pre-copy alone, and move storage with the guest.`, ...feels].join(' ')),
  ];
}

function feltOf(
  { source, destination, mayPostcopy, windowBytes, link }: LinkFacts,
  roundTripMs: number,
  shown: string,
): string[] {
  const pausedMs = formatDuration(Math.round(LOADED_ROUND_TRIPS * roundTripMs));
  const streamRate =
    windowBytes === undefined ? Infinity : Math.round((windowBytes * 1000) / roundTripMs);
  const isKnown = link !== undefined && link.isLeast !== true;
  const carried = isKnown ? link.rate : Math.max(MIN_RATE, link?.rate ?? 0);
  return [
    mayPostcopy
      ? `By post-copy each page that the guest needs before it has come takes ${shown}: it goes on at ${Math.floor(1000 / roundTripMs)} such pages a second for each vCPU.`
      : `The switch waits for ${destination.name}: the guest is paused for ${pausedMs} longer.`,
    `A write to storage that is acknowledged at the other site takes ${shown} longer, and so does each answer of a service that stays here.`,
    ...(roundTripMs < FAR_MS
      ? []
      : ['Raise the timeouts of heartbeats in a cluster of which only some members move.']),
    // Where a stream carries as much as the link does, its window holds nothing back.
    ...(streamRate >= carried || windowBytes === undefined
      ? []
      : [
          `A TCP stream carries ${formatBytes(streamRate)}/s at most: ${source.name} lets it have ${formatBytes(windowBytes)} under way. If the line carries more, raise net.ipv4.tcp_wmem there and net.ipv4.tcp_rmem on ${destination.name}.`,
        ]),
  ];
}

const HOW = {
  measured: 'measured between the agents',
  seen: 'which an earlier migration came to',
  configured: 'by `wire.rates` of its configuration',
} as const;

const SLOWER = {
  measured: 'the agents',
  seen: 'its hypervisors',
  configured: 'the hosts',
} as const;

/** Checks whether the link is slower than most migration networks, and the cost for this guest. */
export function judgeLink(
  facts: Pick<LinkFacts, 'destination' | 'link' | 'routeOut' | 'memoryBytes'>,
): Finding[] {
  const { destination, link, routeOut, memoryBytes = 0 } = facts;
  const to = `the link to ${destination.name}`;
  const stated = routeOut?.bytesPerS ?? Infinity;
  if (link === undefined && stated >= MIN_RATE)
    return [
      passes(`nobody has measured yet what ${to} carries; \`godwit migrate --dry-run\` does`),
    ];
  // Its own word counts for more than that of hosts that may have been slower.
  const isByDevice = link === undefined || (link.isLeast === true && stated < MIN_RATE);
  const rate = isByDevice ? stated : link.rate;
  const source = isByDevice ? `as ${routeOut?.device} says of itself` : HOW[link.how];
  const at = isByDevice || link.at === undefined ? '' : ` at ${link.at.slice(11, 16)} UTC`;
  const evidence = `${to} carries ${rateWords(rate)}, ${source}${at}`;
  if (rate >= MIN_RATE) return [passes(evidence)];
  // Slow hosts say nothing of a fast link.
  if (!isByDevice && link.isLeast === true)
    return [passes(`${evidence}, at the least: ${SLOWER[link.how]} may have been slower than it`)];
  const pass =
    memoryBytes === 0
      ? []
      : [
          `One pass over the guest’s ${formatBytes(memoryBytes)} of memory takes up to ${formatDuration((memoryBytes / Math.max(rate, 1)) * 1000)}.`,
        ];
  const costs = [
    ...pass,
    `A guest that writes more than ${formatRate(rate)} of its memory never comes to an end by pre-copy alone, unless it is slowed down: \`godwit migrate --dry-run\` says what is to be expected.`,
  ];
  return [warns(`${evidence}: less than 1 Gbit/s`, costs.join(' '))];
}

/** Whether migrations have a network of their own, which is said and never warned of: what it costs is the check `workload`'s to say. */
export function judgeMigrationNetwork({
  destination,
  routeOut,
}: Pick<LinkFacts, 'destination' | 'routeOut'>): Finding[] {
  if (routeOut === undefined) return [];
  const { device, hasGuests, isDefault } = routeOut;
  const over = `memory goes to ${destination.name} over ${device}`;
  if (hasGuests === true) return [passes(`${over}, which networks of guests use as well`)];
  const everywhere = isDefault ? ', which has the host’s default route' : '';
  if (hasGuests === undefined)
    return [passes(`${over}${everywhere}; what the host routes for guests may use it as well`)];
  if (isDefault) return [passes(`${over}${everywhere}; no network of guests uses it`)];
  return [passes(`${over}, a network of its own: neither guests nor the default route use it`)];
}

function rateWords(bytesPerS: number): string {
  const mbit = (bytesPerS * 8) / 1e6;
  const shown = mbit >= 1000 ? `${(mbit / 1000).toFixed(1)} Gbit/s` : `${mbit.toFixed(0)} Mbit/s`;
  return `${formatRate(bytesPerS)} (${shown})`;
}

/** The manager decides by which addresses it sends memory. */
export function byAgents(finding: Finding): Finding {
  return {
    ...finding,
    evidence: `${finding.evidence} (between the agents: its manager may take another path)`,
  };
}
