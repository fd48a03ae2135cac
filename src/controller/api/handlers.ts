import type { Clock } from '../../clock.ts';
import { controllerContract } from '../../protocol/controller/contract.ts';
import { controllerDocument } from '../../protocol/controller/openapi.ts';
import { PRODUCT_VERSION, PROTOCOL_VERSIONS } from '../../protocol/version.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { ControllerConfig } from '../config.ts';
import type { OwnWatch } from '../health/own-watch.ts';
import type { Metrics } from '../metrics.ts';
import { auditHandlers, type AuditApi } from './audit.ts';
import { GuestSamplesReader } from './guest-samples.ts';
import { historyHandlers, type HistoryApi } from './history.ts';
import { limitHandlers } from './limits.ts';
import { managerHandlers, type ManagerHandlerDependencies } from './managers.ts';
import { OverviewReader } from './overview.ts';
import { planHandlers } from './plans.ts';
import { policyHandlers, type PolicyHandlerDependencies } from './policies.ts';
import {
  readGuest,
  readGuests,
  readHost,
  readHosts,
  readSamples,
  type ReadHandlerDependencies,
} from './reads.ts';
import { sessionHandlers, type SessionHandlerDependencies } from './session.ts';
import { tokenHandlers } from './tokens.ts';
import { setMaintenance } from '../store/health.ts';
import { requestHandlers, type RequestHandlerDependencies } from './requests.ts';

export interface ControllerHandlerDependencies
  extends
    ReadHandlerDependencies,
    RequestHandlerDependencies,
    HistoryApi,
    AuditApi,
    PolicyHandlerDependencies,
    ManagerHandlerDependencies,
    Omit<SessionHandlerDependencies, 'audit'> {
  readonly config: ControllerConfig;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly own: Pick<OwnWatch, 'problems'>;
}

export function controllerHandlers(
  deps: ControllerHandlerDependencies,
): Handlers<typeof controllerContract> {
  const { config, store, inventory, clock, metrics } = deps;
  const reading = { ...deps, store: { ...store, db: store.reads } };
  const fleet = new OverviewReader(reading, clock);
  const guestLoads = new GuestSamplesReader(reading.store, clock);
  const asked = async (): Promise<{ ok: true }> => {
    await store.db.selectFrom('counters').select('name').limit(1).execute();
    return { ok: true };
  };
  return {
    hello: () => ({
      name: config.name,
      product: `godwit ${PRODUCT_VERSION}`,
      versions: [...PROTOCOL_VERSIONS],
    }),
    health: asked,
    live: () => ({ ok: true }),
    ready: asked,
    openapi: () => controllerDocument(controllerContract),
    hosts: (call) => readHosts(reading, call),
    host: (call) => readHost(reading, call),
    samples: (call) => readSamples(reading, call),
    guests: (call) => readGuests(reading, call),
    guest: (call) => readGuest(reading, call),
    guestSamples: (call) => guestLoads.read(call),
    metrics: () => metrics.text(),
    figures: () => inventory.figures(),
    events: ({ query, lastEventId, signal }) =>
      inventory.events.follow(lastEventId ?? query.after, signal),
    overview: () => fleet.read(),
    ...requestHandlers(deps),
    ...historyHandlers(deps),
    ...auditHandlers(deps),
    ...limitHandlers(deps),
    setMaintenance: async ({ params: { host }, body: { note }, caller }) => {
      await setMaintenance(store, host, note);
      deps.log.info({ host, note, by: caller.name }, 'host marked for maintenance');
      return { ok: true };
    },
    ...planHandlers(deps),
    ...sessionHandlers(deps),
    ...tokenHandlers(deps),
    ...managerHandlers(deps),
    ...policyHandlers(deps),
    ownProblems: () => ({ controller: config.name, problems: deps.own.problems() }),
  };
}
