import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { toGodwitError } from '../errors.ts';
import { CA_FILE, HOST_CERT, readAuthorities, readPair } from '../host/credentials.ts';
import { pkiDirOf, type Fleet } from '../host/fleet.ts';
import { addRefusals } from '../host/journal/kept-refusals.ts';
import { defined } from '../protocol/defined.ts';
import { MAX_REFUSALS, type Trust } from '../protocol/public/trust.ts';
import type { Refusals } from '../rpc/refusals.ts';
import { issuerAmong } from '../rpc/trust-bundle.ts';
import type { Spread } from './pki/spread.ts';
import type { Renewal } from './pki/renewal.ts';
import type { RefusedByMovers } from './migrations/refused-by-movers.ts';
import type { MigrationStore } from './migrations/store.ts';

export interface TrustDependencies {
  readonly config: AgentConfig;
  readonly fleet: Pick<Fleet, 'list'>;
  readonly spread: Pick<Spread, 'twoHolders' | 'authoritiesProblem'>;
  readonly renewal: Pick<Renewal, 'failed'>;
  readonly refusals: Refusals;
  readonly store: Pick<MigrationStore, 'all' | 'isEnded'>;
  readonly ofMovers: Pick<RefusedByMovers, 'list'>;
}

/** What `godwit doctor` shows of the trust between this host and others. */
export function trustOf({
  config,
  fleet,
  spread,
  renewal,
  refusals,
  ofMovers,
  store,
}: TrustDependencies): Trust {
  const { count, why } = renewal.failed;
  const twoHolders = spread.twoHolders();
  const authorities = readAuthorities(pkiDirOf(config));
  const own = new X509Certificate(readPair(pkiDirOf(config)).cert);
  return {
    host: config.name,
    certificate: {
      validTo: own.validToDate.toISOString(),
      failures: count,
      ...defined({ problem: why?.message, issuer: issuerAmong(authorities, own)?.fingerprint }),
    },
    authorities: authorities.map(({ fingerprint }) => fingerprint),
    ...earlierMigrations(config, store),
    ...defined({ authoritiesProblem: spread.authoritiesProblem }),
    ...listOf(fleet),
    ...(twoHolders.length > 0 && { twoHolders }),
    refusals: addRefusals([refusals.list(), ofMovers.list()]).slice(0, MAX_REFUSALS),
  };
}

/**
 * A hypervisor loads the files once. Were a connection of its stream made again after a CA has gone, one end would show a
 * certificate that the other end no longer trusts.
 */
function earlierMigrations(
  config: AgentConfig,
  store: TrustDependencies['store'],
): Pick<Trust, 'earlierMigrations'> {
  const changedMs = [CA_FILE, HOST_CERT].map(
    (file) => statSync(path.join(pkiDirOf(config), file)).mtimeMs,
  );
  const sinceMs = Math.max(...changedMs);
  const earlier = store
    .all()
    .filter(({ id, request }) => Date.parse(request.createdAt) < sinceMs && !store.isEnded(id));
  return earlier.length === 0 ? {} : { earlierMigrations: earlier.length };
}

function listOf(fleet: TrustDependencies['fleet']): Pick<Trust, 'list' | 'listProblem'> {
  try {
    const list = fleet.list();
    if (list === undefined) return {};
    const { number, issuedAt, expiresAt, holder } = list;
    return { list: { number, issuedAt, expiresAt, ...defined({ holder }) } };
  } catch (thrown) {
    return { listProblem: toGodwitError(thrown).message };
  }
}
