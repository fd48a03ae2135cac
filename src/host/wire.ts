import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { defined } from '../protocol/defined.ts';
import { pkiDirOf } from './fleet.ts';
import { processorLoad } from './machine/processor-load.ts';
import { WIRE_VERSION, type CacheScope, type WireOffer, type WireTerms } from '../protocol/wire.ts';
import type { SourceWireOptions } from '../wire/open.ts';
import type { WireCache } from '../wire/cache/circles.ts';

/** What this host's configuration says of the wire: its cache, its secret, what it offers, what it may send. */

const MIN_SECRET_BYTES = 32;
/** Hosts that are away learn of a new secret when they are back; what is kept under the old one is of use meanwhile. */
const OVERLAP_MS = 7 * 86_400_000;
const WIDTH: readonly CacheScope[] = ['none', 'guest', 'tenant', 'host'];

/** What a source asks of the wire: with whom the guest's pages are shared, at most. */
export function termsFor(config: AgentConfig, guest: string, linkGraceMs: number): WireTerms {
  const { scope, tenants } = config.cache;
  const tenant = tenants[guest];
  if (scope === 'tenant' && tenant === undefined) return { linkGraceMs, sharing: 'guest' };
  if (scope !== 'tenant') return { linkGraceMs, sharing: scope };
  return { linkGraceMs, sharing: scope, ...defined({ tenant }) };
}

/**
 * The host's cache for a guest that is exchanged with `peer`; undefined where this host or the other wants none, or it
 * has no secret. The terms are the source's words: whatever they say, the peer learns only of what was exchanged with it.
 */
export function cacheFor(
  config: AgentConfig,
  guest: string,
  terms: WireTerms,
  peer: string,
): WireCache | undefined {
  const cache = cacheToRead(config, guest, terms, peer);
  if (cache === undefined) return undefined;
  try {
    mkdirSync(path.dirname(cache.placesFile), { recursive: true, mode: 0o700 });
  } catch {
    // A cache never fails a migration.
    return undefined;
  }
  return cache;
}

/** The same for who only looks: it may not be there yet. */
export function cacheToRead(
  config: AgentConfig,
  guest: string,
  { sharing, tenant }: Pick<WireTerms, 'sharing' | 'tenant'>,
  peer: string,
): WireCache | undefined {
  // The narrower of both hosts' wishes; the scopes differ then, and nothing is shared where the other’s is wider.
  const own = config.cache.scope;
  const narrower = WIDTH.indexOf(own) < WIDTH.indexOf(sharing) ? own : sharing;
  const [secret, ...earlier] = siteSecrets(config);
  const circle = circleOf(narrower, guest, tenant);
  if (secret === undefined || circle === undefined) return undefined;
  const { bytes: mostBytes } = config.cache;
  return {
    directory: cacheDirectory(config),
    mostBytes,
    secret,
    earlier,
    sharing: circle,
    peer,
    // Whose seeds these are, this host's own configuration says.
    seeds: circle.with !== 'tenant' || config.cache.tenants[guest] === circle.tenant,
    placesFile: placesFile(config, guest, peer),
  };
}

/** The circle of guests that a scope means; undefined for none, and where its guest or tenant is not named. */
export function circleOf(
  scope: CacheScope,
  guest: string | undefined,
  tenant: string | undefined,
): WireCache['sharing'] | undefined {
  switch (scope) {
    case 'none':
      return undefined;
    case 'guest':
      return guest === undefined ? undefined : { with: 'guest', guest };
    case 'tenant':
      return tenant === undefined ? undefined : { with: 'tenant', tenant };
    case 'host':
      return { with: 'host' };
  }
}

/** Where the host's cache lies. */
export function cacheDirectory(config: AgentConfig): string {
  return config.cache.directory ?? path.join(config.stateDir, 'cache', 'pages');
}

/** Neither name holds an @. */
function placesFile(config: AgentConfig, guest: string, peer: string): string {
  return path.join(cacheDirectory(config), 'places', `${guest}@${peer}`);
}

/** The secret that all hosts of a site share, which names what their caches hold; undefined where this one has none. */
export function siteSecret(config: AgentConfig): Buffer | undefined {
  return siteSecrets(config)[0];
}

/** That one, and the one that it replaced, for as long as both count; none where this host has none. */
export function siteSecrets(config: AgentConfig): Buffer[] {
  const file = config.cache.secretFile ?? path.join(pkiDirOf(config), 'site.secret');
  const secret = secretAt(file);
  if (secret === undefined) return [];
  const before = earlierFile(file);
  const earlier = counts(before, Date.now()) ? secretAt(before) : undefined;
  return earlier === undefined || earlier.equals(secret) ? [secret] : [secret, earlier];
}

/** Where the secret lies that the one in `file` replaced. */
export function earlierFile(file: string): string {
  return `${file}.before`;
}

/** Whether a secret that was replaced still counts: from when it was put there, that long. */
export function counts(file: string, nowMs: number): boolean {
  const mtimeMs = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  return mtimeMs !== undefined && nowMs - mtimeMs < OVERLAP_MS;
}

function secretAt(file: string): Buffer | undefined {
  try {
    const secret = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex');
    return secret.length < MIN_SECRET_BYTES ? undefined : secret;
  } catch {
    return undefined;
  }
}

/** What this host offers to the peer that sends it that guest. */
export function offerOf(config: AgentConfig, guest: string, peer: string): WireOffer {
  return {
    version: WIRE_VERSION,
    ...processorLoad(),
    knowsGuest: existsSync(placesFile(config, guest, peer)) && siteSecret(config) !== undefined,
  };
}

/** What the migrations of this host may send together; undefined: whatever the links give. */
export function budgetOf({ wire, stateDir }: AgentConfig): SourceWireOptions['budget'] {
  if (wire.bytesPerS === undefined) return undefined;
  return { directory: path.join(stateDir, 'wire-shares'), bytesPerS: wire.bytesPerS };
}

/** Processors for the codec: as configured, or all of the host's but the guest's own. */
export function codecCores(config: AgentConfig): number {
  return config.wire.cores ?? Math.max(1, availableParallelism() - 1);
}
