import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { LOADED_ROUND_TRIPS } from '../prediction/parameters.ts';
import { passes, warns, type Finding } from './finding.ts';

/** Checks of the link to the destination and its effects on a migration. Pure. */

export interface RouteOut {
  readonly device: string;
  /** Rate that the device reports, bytes/s. */
  readonly bytesPerS?: number | undefined;
  readonly hasGuests: boolean | undefined;
  readonly isDefault: boolean;
}

export interface LinkFacts {
  readonly source: { readonly name: string };
  readonly destination: { readonly name: string };
  /** Minimum of several measurements, ms. */
  readonly roundTripMs?: number | undefined;
  /** Maximum bytes in flight on one TCP connection to the destination; absent if a relay ends the connection. */
  readonly windowBytes?: number | undefined;
  /** Memory may use post-copy: each missing page comes over the link. */
  readonly mayPostcopy: boolean;
  readonly link?: LinkMeasure | undefined;
  /** Absent if unknown: through a relay, or an earlier build. */
  readonly routeOut?: RouteOut | undefined;
  readonly memoryBytes?: number | undefined;
}

/** Above this, a migration is affected by the path, ms. */
export const LONG_MS = 5;
/** Above this, clusters and services that stay behind are affected, ms. */
const FAR_MS = 50;
/** Above this, anything that waits for the other host at every step nearly stops, ms. */
const VERY_LONG_MS = 150;
/** Payload of a stream over 1 Gbit/s Ethernet, with a margin for measuring errors, bytes/s. */
export const MIN_RATE = 110e6;

/** Checks whether the path between the hosts is long, and the effects. */
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
    // The window does not limit a stream that reaches the link's rate.
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
  // The device's rate outweighs a measurement that slow hosts may have limited.
  const isByDevice = link === undefined || (link.isLeast === true && stated < MIN_RATE);
  const rate = isByDevice ? stated : link.rate;
  const source = isByDevice ? `as ${routeOut?.device} says of itself` : HOW[link.how];
  const at = isByDevice || link.at === undefined ? '' : ` at ${link.at.slice(11, 16)} UTC`;
  const evidence = `${to} carries ${rateWords(rate)}, ${source}${at}`;
  if (rate >= MIN_RATE) return [passes(evidence)];
  // Slow hosts cannot measure a fast link.
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

/** Reports whether migrations have a separate network. Never warns; check `workload` has the cost. */
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

/** The manager chooses the addresses for memory. */
export function byAgents(finding: Finding): Finding {
  return {
    ...finding,
    evidence: `${finding.evidence} (between the agents: its manager may take another path)`,
  };
}
