import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { syncDirectory } from '../../host/journal-file.ts';
import type { Log } from '../../log.ts';
import type { agentContract } from '../../protocol/contract.ts';
import { migrationRequest } from '../../protocol/public/migration.ts';
import type { RecoveryRequest } from '../../protocol/public/recovery.ts';
import type { Handlers } from '../../rpc/server.ts';
import { checkSender } from '../incoming.ts';
import type { Incoming } from '../incoming.ts';
import { orderFor } from '../orders.ts';
import type { Orders } from '../orders.ts';
import type { PreflightAnswers } from '../preflight/answers.ts';
import type { Checks } from '../preflight/checks.ts';
import type { MigrationStore } from '../store.ts';
import type { Supervisor } from '../supervision.ts';
import { Standbys } from './standbys.ts';

export interface RecoveryHandlerDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: MigrationStore;
  readonly supervisor: Supervisor;
  readonly orders: Orders;
  readonly checks: Checks;
  readonly answers: PreflightAnswers;
  readonly incoming: Incoming;
}

type RecoveryRoutes = Pick<
  typeof agentContract,
  'putStandby' | 'standbys' | 'putRecovery' | 'keepStandby'
>;

/** Guests of dead hosts: what is kept of them while their hosts live, and their start here. */
export function recoveryHandlers(deps: RecoveryHandlerDependencies): Handlers<RecoveryRoutes> {
  const { config, clock, log, checks, answers, orders } = deps;
  const standbys = new Standbys(config.stateDir, config.name);
  return {
    putStandby: async ({ params: { guest }, body: { to }, signal }) => {
      const request = migrationRequest.parse({ guest, to, mode: 'cold', path: 'native' });
      return { guest, to, checks: [...(await checks.standby(request, signal))] };
    },
    keepStandby: ({ body, caller }) => {
      checkSender(caller, body.admission.from);
      const { guest, from } = body.admission;
      if (from === config.name) throw godwitError('GODWIT_SAME_HOST', { guest, host: from });
      standbys.keep(body, answers.placeKey(body.admission), new Date(clock.wallMs()).toISOString());
      return { ok: true } as const;
    },
    standbys: () => ({ standbys: standbys.list() }),
    putRecovery: async ({ params: { id }, query, body, caller }) => {
      const order = orderFor(query, caller);
      await orders.under(order, id, () => begin({ ...deps, standbys }, id, body));
      log.warn({ id, ...body, by: caller.name }, 'a guest of a dead host is to be started here');
      return { id, started: true };
    },
  };
}

/** May be repeated: what was begun under this id is not begun again. */
async function begin(
  {
    store,
    supervisor,
    standbys,
    incoming,
  }: RecoveryHandlerDependencies & { readonly standbys: Standbys },
  id: string,
  asked: RecoveryRequest,
): Promise<void> {
  const { guest, from, off } = asked;
  const known = store.get(id);
  if (known !== undefined) {
    const { request } = known;
    const isSame = request.side === 'destination' && request.recovery !== undefined;
    if (isSame && request.fromHost === from && request.admission.guest === guest) return;
    throw godwitError('GODWIT_ID_REUSED', { id });
  }
  const { admission, preparation, placeKey } = standbys.need(from, guest);
  const recovery = { preparation, off };
  const migration = await incoming.recover({ ...admission, id }, recovery);
  // Places of this host have the names by which they were proved when the source lived.
  writeFileSync(path.join(migration.dir, 'places.key'), Buffer.from(placeKey, 'hex'), {
    mode: 0o600,
    flush: true,
  });
  syncDirectory(migration.dir);
  try {
    await supervisor.ensure(migration);
  } catch (thrown) {
    if (!store.begun(id)) store.drop(id);
    throw thrown;
  }
}
