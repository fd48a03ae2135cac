import { hasCode, toGodwitError } from '../../errors.ts';
import {
  NO_ANSWER,
  answerFrom,
  type GuestSought,
  type HostAnswer,
} from '../../migration/permission/host-answer.ts';
import { peerAgentContract } from '../../protocol/peer/agent-routes.ts';
import { defined } from '../../protocol/defined.ts';
import type { Surroundings } from '../shared/surroundings.ts';

const ANSWER_MS = 10_000;
const AT_ONCE = 32;

export interface FleetQuestion {
  names(): readonly string[];
  /** One entry per host; a host without an answer within 10 s is `silent`. */
  ask(
    hosts: readonly string[],
    sought: GuestSought,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, HostAnswer>>;
}

export type FleetAccess = Pick<Surroundings, 'connect' | 'peers'>;

export function fleetQuestion(access: FleetAccess): FleetQuestion {
  return {
    names: () => Object.keys(access.peers?.() ?? {}),
    ask: async (hosts, sought, signal) => {
      const left = [...hosts];
      const answers = new Map<string, HostAnswer>();
      const ask = async (): Promise<void> => {
        for (let host = left.shift(); host !== undefined; host = left.shift()) {
          answers.set(host, await askHost(host, sought, access, signal));
        }
      };
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, hosts.length) }, ask));
      return answers;
    },
  };
}

async function askHost(
  host: string,
  sought: GuestSought,
  { connect, peers }: FleetAccess,
  signal: AbortSignal,
): Promise<HostAnswer> {
  const address = peers?.()[host]?.address;
  if (address === undefined) return { is: 'silent', why: 'its address is not known' };
  const { guest, id, uuid } = sought;
  const { api, close } = connect(peerAgentContract, host, address);
  try {
    const query = { id, ...defined({ uuid }) };
    const options = { deadlineMs: ANSWER_MS, signal };
    const seen = await api.sighting({ params: { guest }, query }, options);
    // A host only answers for itself.
    return answerFrom({ ...seen, host }, sought);
  } catch (thrown) {
    const why = toGodwitError(thrown).message;
    if (hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) return { is: 'silent', why };
    const what = `does not tell whether it has it: ${why}`;
    return { is: 'may-have', why: what, doubts: [NO_ANSWER] };
  } finally {
    close();
  }
}
