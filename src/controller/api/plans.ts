import { godwitError } from '../../errors.ts';
import type { controllerContract } from '../../protocol/controller/contract.ts';
import type { RouteAnswer } from '../../protocol/route.ts';
import type { Call, Handlers } from '../../rpc/server.ts';
import type { AgentClients } from '../engine/agent-clients.ts';
import { homesOf } from '../inventory/each-guest.ts';
import type { Store } from '../store/store.ts';

type C = Pick<typeof controllerContract, 'plan'>;

export interface PlanHandlerDependencies {
  readonly store: Store;
  readonly agents: AgentClients;
}

/** A plan measures its guest and its link, so concurrent plans disturb each other. */
const MAX_AT_ONCE = 4;
/** Longer than the agent's own deadline, ms. */
const ANSWER_MS = 120_000;

export function planHandlers(deps: PlanHandlerDependencies): Handlers<C> {
  let underWay = 0;
  return {
    plan: async (call) => {
      if (underWay >= MAX_AT_ONCE)
        throw godwitError('GODWIT_OVERLOADED', { what: 'plans', limit: MAX_AT_ONCE });
      underWay += 1;
      try {
        return await planAtHome(deps, call);
      } finally {
        underWay -= 1;
      }
    },
  };
}

async function planAtHome(
  { store, agents }: PlanHandlerDependencies,
  { body, signal }: Call<C['plan']>,
): Promise<RouteAnswer<C['plan']>> {
  const { guest } = body;
  const homes = await homesOf(store, guest);
  const [home] = homes;
  if (home === undefined) throw godwitError('GODWIT_GUEST_UNKNOWN', { guest, host: 'any host' });
  if (homes.length > 1) {
    const what = `${guest} is on several hosts (${homes.join(', ')})`;
    throw godwitError(
      'GODWIT_USAGE',
      { what },
      { hint: 'Ask the agent of the one that is meant.' },
    );
  }
  const api = agents.at(home);
  if (api === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: home });
  return api.plan({ body }, { signal, deadlineMs: ANSWER_MS });
}
