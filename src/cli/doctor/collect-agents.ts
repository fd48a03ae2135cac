import { hasCode } from '../../errors.ts';
import type { Trust } from '../../protocol/public/trust.ts';
import type { Context } from '../context.ts';
import type { ConnectionFlags } from '../verb.ts';
import type { Facts, TrustFact } from './facts.ts';

const AGENT_MS = 3000;
const DAY_MS = 86_400_000;

/** The agents that answer, and what they report of the trust between them and others. Never rejects. */
export async function findAgents(
  context: Context,
  connection: ConnectionFlags,
): Promise<Pick<Facts, 'agent' | 'trust'>> {
  const signal = AbortSignal.timeout(AGENT_MS);
  try {
    const fleet = await context.connect(connection);
    try {
      const asked = await Promise.allSettled(
        fleet.endpoints.map(async ({ api, label }) => {
          const { hosts } = await api.hosts({}, { signal });
          const name = hosts.find(({ self }) => self)?.name ?? label;
          // An earlier build does not know the question.
          const trust = await api.trust({}, { signal }).catch(() => undefined);
          return { name, trust: trust && factOf(trust) };
        }),
      );
      const answering = asked
        .filter((each) => each.status === 'fulfilled')
        .map(({ value }) => value);
      const names = answering.map(({ name }) => name);
      const trust = answering.flatMap((each) => each.trust ?? []);
      const failed = asked.find((each) => each.status === 'rejected');
      const problem = failed === undefined ? undefined : wordsOf(failed.reason);
      return { agent: { answering: names, problem }, trust };
    } finally {
      fleet.close();
    }
  } catch (error) {
    return { agent: { answering: [], problem: wordsOf(error) }, trust: [] };
  }
}

function factOf({ certificate, list, ...rest }: Trust): TrustFact {
  const { validTo, failures, problem } = certificate;
  const daysUntil = (at: string): number => (Date.parse(at) - Date.now()) / DAY_MS;
  return {
    ...rest,
    daysLeft: daysUntil(validTo),
    failures,
    problem,
    ...(list !== undefined && {
      list: {
        number: list.number,
        ageDays: -daysUntil(list.issuedAt),
        leftDays: daysUntil(list.expiresAt),
      },
    }),
  };
}

function wordsOf(error: unknown): string {
  if (signalTimedOut(error)) return `no answer within ${AGENT_MS} ms`;
  const message = error instanceof Error ? error.message : 'no answer';
  return hasCode(error, 'GODWIT_INTERNAL') ? 'no answer' : message;
}

function signalTimedOut(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}
