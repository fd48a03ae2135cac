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

const MIN_SECRET_BYTES = 32;
/** Time for absent hosts to get a new secret; content under the old one stays useful meanwhile. */
const OVERLAP_MS = 7 * 86_400_000;
const WIDTH: readonly CacheScope[] = ['none', 'guest', 'tenant', 'host'];

export function termsFor(config: AgentConfig, guest: string, linkGraceMs: number): WireTerms {
  const { scope, tenants } = config.cache;
  const tenant = tenants[guest];
  if (scope === 'tenant' && tenant === undefined) return { linkGraceMs, sharing: 'guest' };
  if (scope !== 'tenant') return { linkGraceMs, sharing: scope };
  return { linkGraceMs, sharing: scope, ...defined({ tenant }) };
}

/**
 * The cache for a guest exchanged with `peer`; undefined if either host wants none, or without a secret. The terms come
 * from the source, but the peer can learn only about its own exchanges.
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
    // A cache error never fails a migration.
    return undefined;
  }
  return cache;
}

/** Like `cacheFor`, for readers; the cache may not exist yet. */
export function cacheToRead(
  config: AgentConfig,
  guest: string,
  { sharing, tenant }: Pick<WireTerms, 'sharing' | 'tenant'>,
  peer: string,
): WireCache | undefined {
  // The narrower of both hosts' scopes; if they differ, nothing is shared.
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
    // This host's configuration decides whose seeds these are.
    seeds: circle.with !== 'tenant' || config.cache.tenants[guest] === circle.tenant,
    placesFile: placesFile(config, guest, peer),
  };
}

/** A scope's circle of guests; undefined without one, or if its guest or tenant is not named. */
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

export function cacheDirectory(config: AgentConfig): string {
  return config.cache.directory ?? path.join(config.stateDir, 'cache', 'pages');
}

/** Unambiguous: neither name contains an @. */
function placesFile(config: AgentConfig, guest: string, peer: string): string {
  return path.join(cacheDirectory(config), 'places', `${guest}@${peer}`);
}

export function siteSecret(config: AgentConfig): Buffer | undefined {
  return siteSecrets(config)[0];
}

export function siteSecrets(config: AgentConfig): Buffer[] {
  const file = config.cache.secretFile ?? path.join(pkiDirOf(config), 'site.secret');
  const secret = secretAt(file);
  if (secret === undefined) return [];
  const before = earlierFile(file);
  const earlier = counts(before, Date.now()) ? secretAt(before) : undefined;
  return earlier === undefined || earlier.equals(secret) ? [secret] : [secret, earlier];
}

export function earlierFile(file: string): string {
  return `${file}.before`;
}

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

export function offerOf(config: AgentConfig, guest: string, peer: string): WireOffer {
  return {
    version: WIRE_VERSION,
    ...processorLoad(),
    knowsGuest: existsSync(placesFile(config, guest, peer)) && siteSecret(config) !== undefined,
  };
}

/** Limit of this host's migrations together; undefined: none. */
export function budgetOf({ wire, stateDir }: AgentConfig): SourceWireOptions['budget'] {
  if (wire.bytesPerS === undefined) return undefined;
  return { directory: path.join(stateDir, 'wire-shares'), bytesPerS: wire.bytesPerS };
}

/** Processors of the codec: configured, or all but one. */
export function codecCores(config: AgentConfig): number {
  return config.wire.cores ?? Math.max(1, availableParallelism() - 1);
}
