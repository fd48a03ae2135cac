import { hasSegments } from './directory.ts';
import { Scope, type Sharing } from './scope.ts';

/** The circle of guests of a migration, by each of the site's secrets that counts. */

/** The host's cache as a migration uses it; absent where nothing is shared. */
export interface WireCache {
  readonly directory: string;
  readonly mostBytes: number;
  /** The site's secret, alike on all its hosts. */
  readonly secret: Uint8Array;
  /** Those that it replaced of late: they name what is kept from before, and a host that has only such a one is understood. */
  readonly earlier?: readonly Uint8Array[];
  readonly sharing: Exclude<Sharing, { with: 'none' }>;
  /** The other host: what was exchanged with it is all that it learns of. */
  readonly peer: string;
  /** Whether the circle's seeds may be used towards the peer. */
  readonly seeds: boolean;
  /** Where this guest's places are kept between its migrations with that host. */
  readonly placesFile: string;
}

export type CircleCache = Pick<WireCache, 'directory' | 'secret' | 'earlier' | 'sharing' | 'peer'>;

export interface Circle {
  readonly secret: Uint8Array;
  readonly scope: Scope;
}

/** One for each secret, the newest first. */
export function circlesOf({
  secret,
  earlier = [],
  sharing,
  peer,
}: Omit<CircleCache, 'directory'>): Circle[] {
  return [secret, ...earlier].map((each) => ({
    secret: each,
    scope: new Scope(each, sharing, peer),
  }));
}

/** The circle of that tag; undefined where this host has none. */
export function circleBy(cache: Omit<CircleCache, 'directory'>, tag: string): Circle | undefined {
  return circlesOf(cache).find(({ scope }) => scope.tag === tag);
}

/**
 * Of the circles that a source names, the one under which this host has something of it, also where its secret was replaced
 * of late; else the newest that both know. Undefined where there is none.
 */
export function agreedCircle(cache: CircleCache, tags: readonly string[]): Circle | undefined {
  const known = circlesOf(cache).filter(({ scope }) => tags.includes(scope.tag));
  return known.find(({ scope }) => hasSegments(cache.directory, scope.peerTag)) ?? known[0];
}
