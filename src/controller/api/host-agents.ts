import { randomBytes } from 'node:crypto';
import { godwitError, type ErrorCode } from '../../errors.ts';
import { agentContract } from '../../protocol/contract.ts';
import { migrationStart } from '../../protocol/public/contract.ts';
import type { Contract, Route } from '../../protocol/route.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { AgentClients } from '../engine/agent-clients.ts';
import {
  ANSWER_MS,
  asked,
  findCall,
  agentInput,
  passedOnRoute,
  type AnyCall,
} from '../managers/agent-routes.ts';
import { nextEpoch } from '../store/request-rows.ts';
import type { Store } from '../store/store.ts';

/**
 * Routes to a host's agent, under `/v1/hosts/NAME/agent`. The controller checks the caller's role and records the call
 * in its audit log.
 */

/** Orders that an agent takes from a controller: see test/agent/controller-rights.test.ts. */
const ORDERS: ReadonlySet<string> = new Set([
  'check',
  'plan',
  'migrate',
  'cancel',
  'resolve',
  'labelGuest',
  'moveDisk',
  'cancelDiskMove',
]);
const OF_PASSING_ON = [
  'GODWIT_HOST_UNKNOWN',
  'GODWIT_UNREACHABLE',
  'GODWIT_ORDER_STALE',
  'GODWIT_STORE',
] as const satisfies ErrorCode[];

export interface HostAgentDependencies {
  readonly store: Store;
  readonly agents: Pick<AgentClients, 'at'>;
}

const passedOn: readonly (readonly [string, Route])[] = [
  ...asked.filter(([key, { access }]) => access === 'viewer' || ORDERS.has(key)),
  // Lists the fields that an agent of another build accepts.
  ['openapi', { ...agentContract.openapi, access: 'viewer' }],
];

export const hostAgentContract: Contract = Object.fromEntries(
  passedOn.map(([key, route]) => [
    `host.${key}`,
    passedOnRoute(route, '/v1/hosts', 'at', OF_PASSING_ON),
  ]),
);

export function hostAgentHandlers(deps: HostAgentDependencies): Handlers<Contract> {
  return Object.fromEntries(
    passedOn.map(([key, route]) => [
      `host.${key}`,
      (call: AnyCall) => {
        const { at = '', ...params } = call.params;
        const api = deps.agents.at(at);
        if (api === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: at });
        const { signal } = call;
        const options = { signal, deadlineMs: ANSWER_MS };
        const input = agentInput(call, params, route);
        if (key === 'migrate') return migrate(deps, api, call);
        if (key !== 'cancel') return findCall({ api }, key)(input, options);
        return orderFor(deps.store, params['id'] ?? '').then((order) =>
          findCall({ api }, key)({ ...input, query: { ...input.query, ...order } }, options),
        );
      },
    ]),
  ) as unknown as Handlers<Contract>;
}

type AgentApi = NonNullable<ReturnType<AgentClients['at']>>;

async function migrate(
  { store }: HostAgentDependencies,
  api: AgentApi,
  { body, signal }: AnyCall,
): Promise<{ id: string }> {
  const { id = `m-${randomBytes(8).toString('hex')}`, ...request } = migrationStart.parse(body);
  const query = await orderFor(store, id);
  await api.putMigration(
    { params: { id }, query, body: request },
    { signal, deadlineMs: ANSWER_MS },
  );
  return { id };
}

export async function orderFor(
  store: Store,
  id: string,
): Promise<{ order: string; epoch: string }> {
  const epoch = await store.transaction((db) => nextEpoch(db));
  return { order: id.replace(/^m-/, 'r-'), epoch: String(epoch) };
}
