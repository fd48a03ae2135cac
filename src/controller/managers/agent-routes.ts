import { z } from 'zod';
import { godwitError, type ErrorCode } from '../../errors.ts';
import { agentContract } from '../../protocol/contract.ts';
import { hostName } from '../../protocol/names.ts';
import type { Access, Contract, Route } from '../../protocol/route.ts';
import type { Client } from '../../rpc/client.ts';
import type { Call, Handlers } from '../../rpc/server.ts';

/**
 * Routes to a manager's agent, under `/v1/managers/NAME/agent`. The agent listens only to its controller, which
 * authenticates callers and keeps the audit log.
 */

export type AnyCall = Call<Route> & { readonly params: Readonly<Record<string, string>> };
type AnyApi = Readonly<Record<string, (input: object, options: object) => unknown>>;

/** A check asks the slow manager itself. */
export const ANSWER_MS = 180_000;
const ASKED_BY_PEOPLE: ReadonlySet<Access> = new Set(['viewer', 'orders', 'operator']);
const OF_PASSING_ON = [
  'GODWIT_MANAGER_UNKNOWN',
  'GODWIT_UNREACHABLE',
  'GODWIT_STORE',
] as const satisfies ErrorCode[];

export const asked: readonly (readonly [string, Route])[] = Object.entries<Route>(
  agentContract,
).filter(([, { access }]) => ASKED_BY_PEOPLE.has(access));

export const managerAgentContract: Contract = Object.fromEntries(
  asked.map(([key, route]) => [`manager.${key}`, passedOnRoute(route, '/v1/managers', 'manager')]),
);

/** A route to the agents below `folder`; `whose`: the parameter that selects the agent. */
export function passedOnRoute(
  route: Route,
  folder: string,
  whose: string,
  further: readonly ErrorCode[] = OF_PASSING_ON,
): Route {
  const { access, errors, params, path } = route;
  return {
    ...route,
    path: `${folder}/:${whose}/agent${path}`,
    params: params.extend({ [whose]: hostName }),
    // Another controller gives no orders through this one.
    access: access === 'orders' ? 'operator' : access,
    ...(errors === undefined ? {} : { errors: [...errors, ...further] }),
  };
}

/** `agentOf` throws GODWIT_MANAGER_UNKNOWN. Its client is closed after the answer. */
export function managerAgentHandlers(
  agentOf: (manager: string) => Client<typeof agentContract>,
): Handlers<Contract> {
  return Object.fromEntries(
    asked.map(([key, route]) => [
      `manager.${key}`,
      (call: AnyCall) => {
        const { manager = '', ...params } = call.params;
        const input = agentInput(call, params, route);
        const agent = agentOf(manager);
        return route.stream
          ? passedOn(agent, key, input, call.signal)
          : answered(agent, key, input, call.signal);
      },
    ]),
  ) as unknown as Handlers<Contract>;
}

/** The input for the agent. GODWIT_USAGE for an order: only this controller has claims on requests. */
export function agentInput(call: AnyCall, params: Readonly<Record<string, string>>, route: Route) {
  const query = z.record(z.string(), z.unknown()).parse(call.query);
  if (query['order'] !== undefined || query['epoch'] !== undefined)
    throw godwitError('GODWIT_USAGE', { what: 'only a controller names a request and an epoch' });
  const { lastEventId: after } = call;
  const takesAfter = after !== undefined && 'after' in route.query.shape;
  return { params, query: takesAfter ? { ...query, after } : query, body: call.body };
}

type Agent = Client<typeof agentContract>;

async function answered(agent: Agent, key: string, input: object, signal: AbortSignal) {
  try {
    return await findCall(agent, key)(input, { signal, deadlineMs: ANSWER_MS });
  } finally {
    agent.close();
  }
}

async function* passedOn(agent: Agent, key: string, input: object, signal: AbortSignal) {
  try {
    const options = { signal, deadlineMs: ANSWER_MS };
    yield* findCall(agent, key)(input, options) as AsyncIterable<unknown>;
  } finally {
    agent.close();
  }
}

export function findCall({ api }: Pick<Agent, 'api'>, key: string): AnyApi[string] {
  const found = (api as unknown as AnyApi)[key];
  if (found === undefined) throw new Error(`an agent answers no ${key}`);
  return found;
}
