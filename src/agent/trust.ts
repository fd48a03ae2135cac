import { X509Certificate } from 'node:crypto';
import type { AgentConfig } from '../config.ts';
import { toGodwitError } from '../errors.ts';
import { readPair } from '../host/credentials.ts';
import { pkiDirOf, type Fleet } from '../host/fleet.ts';
import { addRefusals } from '../host/journal/kept-refusals.ts';
import { defined } from '../protocol/defined.ts';
import { MAX_REFUSALS, type Trust } from '../protocol/public/trust.ts';
import type { Refusals } from '../rpc/refusals.ts';
import type { Spread } from './pki/spread.ts';
import type { Renewal } from './pki/renewal.ts';
import type { RefusedByMovers } from './migrations/refused-by-movers.ts';

export interface TrustDependencies {
  readonly config: AgentConfig;
  readonly fleet: Pick<Fleet, 'list'>;
  readonly spread: Pick<Spread, 'twoHolders'>;
  readonly renewal: Pick<Renewal, 'failed'>;
  readonly refusals: Refusals;
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
}: TrustDependencies): Trust {
  const { count, why } = renewal.failed;
  const twoHolders = spread.twoHolders();
  const own = new X509Certificate(readPair(pkiDirOf(config)).cert);
  return {
    host: config.name,
    certificate: {
      validTo: own.validToDate.toISOString(),
      failures: count,
      ...defined({ problem: why?.message }),
    },
    ...listOf(fleet),
    ...(twoHolders.length > 0 && { twoHolders }),
    refusals: addRefusals([refusals.list(), ofMovers.list()]).slice(0, MAX_REFUSALS),
  };
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
