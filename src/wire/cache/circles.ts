import { hasSegments } from './directory.ts';
import { Scope, type Sharing } from './scope.ts';

/** Circle of a migration's guests, for each of the site's valid secrets. */

export interface WireCache {
  readonly directory: string;
  readonly mostBytes: number;
  /** Site's secret, equal on all its hosts. */
  readonly secret: Uint8Array;
  /** Recently replaced secrets: they name older contents, and a host that has only such a secret still works. */
  readonly earlier?: readonly Uint8Array[];
  readonly sharing: Exclude<Sharing, { with: 'none' }>;
  /** Other host, which learns only of contents exchanged with it. */
  readonly peer: string;
  /** The circle's seeds may be used for the peer. */
  readonly seeds: boolean;
  /** File of this guest's places between its migrations with that host. */
  readonly placesFile: string;
}

export type CircleCache = Pick<WireCache, 'directory' | 'secret' | 'earlier' | 'sharing' | 'peer'>;

export interface Circle {
  readonly secret: Uint8Array;
  readonly scope: Scope;
}

/** Circles of all secrets, newest first. */
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

export function circleBy(cache: Omit<CircleCache, 'directory'>, tag: string): Circle | undefined {
  return circlesOf(cache).find(({ scope }) => scope.tag === tag);
}

/**
 * Circle of the source's offers under which this host has contents, including recently replaced secrets;
 * otherwise the newest common one. Undefined if there is none.
 */
export function agreedCircle(cache: CircleCache, tags: readonly string[]): Circle | undefined {
  const known = circlesOf(cache).filter(({ scope }) => tags.includes(scope.tag));
  return known.find(({ scope }) => hasSegments(cache.directory, scope.peerTag)) ?? known[0];
}
