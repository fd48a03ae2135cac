import type { agentContract } from '../../protocol/contract.ts';
import type { preflightRoutes } from '../../protocol/peer/preflight.ts';
import type { receiverRoutes } from '../../protocol/peer/receiver.ts';
import type { Handlers } from '../../rpc/server.ts';
import { receiverHandlers, type ReceiverHandlerDependencies } from '../processes/receivers.ts';
import type { PreflightAnswers } from './answers.ts';
import type { Checks } from './checks.ts';

export interface CheckHandlerDependencies extends ReceiverHandlerDependencies {
  readonly checks: Checks;
  readonly answers: PreflightAnswers;
}

type CheckRoutes = Pick<
  typeof agentContract,
  'check' | keyof typeof preflightRoutes | keyof typeof receiverRoutes
>;

export function checkHandlers(deps: CheckHandlerDependencies): Handlers<CheckRoutes> {
  const { checks, answers } = deps;
  return {
    check: ({ body, signal }) => checks.answer(body, signal),
    preflight: ({ body, caller }) => answers.admission(body, caller),
    preflightStorage: ({ body, caller }) => answers.storage(body, caller),
    preflightAssess: ({ body, caller, signal, calledAt }) =>
      answers.assess(body, caller, signal, calledAt),
    preflightKnown: ({ body, caller }) => answers.known(body, caller),
    ...receiverHandlers(deps),
  };
}
