import type { LookAtPath } from '../../host/machine/path-look.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { passes, type Finding } from '../../migration/preflight/finding.ts';
import {
  byAgents,
  judgeLink,
  judgeMigrationNetwork,
  judgeRoundTrip,
  type LinkFacts,
} from '../../migration/preflight/link.ts';
import type { CheckName } from '../../migration/preflight/table.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import type { CheckDependencies } from './questions.ts';

/** What the link is over which a manager sends a guest, as far as the agents at both its ends see it. */

/** Of each question that times the path to the destination. */
const QUESTION_MS = 2000;

type LinkCheck = Extract<CheckName, 'link' | 'round-trip' | 'migration-network'>;
const JUDGES: readonly [LinkCheck, (facts: LinkFacts) => Finding[]][] = [
  ['round-trip', judgeRoundTrip],
  ['link', judgeLink],
  ['migration-network', judgeMigrationNetwork],
];

export interface LinkAsked {
  /** The host of this agent. */
  readonly here: string;
  readonly order: Pick<ManagedOrder, 'from' | 'to' | 'mode' | 'wire'>;
  readonly memoryBytes: number;
  /** What is known of its rate. */
  readonly link: LinkMeasure | undefined;
  readonly peers: Pick<CheckDependencies['peers'], 'address' | 'linkProbe'>;
  readonly lookAtPath: LookAtPath;
}

export async function linkChecks(asked: LinkAsked, signal: AbortSignal): Promise<Check[]> {
  const { here, order, memoryBytes, link, peers, lookAtPath } = asked;
  const { from, to, mode, wire = false } = order;
  const address = peers.address(to);
  const why = whyNotLooked(here, order, address);
  if (address === undefined || why !== undefined)
    return JUDGES.map(([name]) => named(name, passes(`not looked at: ${why}`), true));
  const question = (within: AbortSignal): Promise<unknown> =>
    peers.linkProbe(to, '', { signal: within, deadlineMs: QUESTION_MS });
  const facts: LinkFacts = {
    source: { name: from },
    destination: { name: to },
    mayPostcopy: mode !== 'precopy',
    link,
    memoryBytes,
    ...(await lookAtPath(address, question, signal)),
  };
  return JUDGES.flatMap(([name, judge]) => {
    const found = judge(facts);
    if (found.length === 0)
      return [named(name, passes('not looked at: the path does not show it'), true)];
    return found.map((each) => named(name, wire ? each : byAgents(each)));
  });
}

function whyNotLooked(
  here: string,
  { from, to }: LinkAsked['order'],
  address: string | undefined,
): string | undefined {
  if (from !== here) return `the guest is at ${from}, and this agent at ${here}`;
  return address === undefined ? `${here} knows no agent of Godwit at ${to}` : undefined;
}

function named(name: LinkCheck, finding: Finding, notTried = false): Check {
  return { name, side: 'both', ...(notTried ? { notTried } : {}), ...finding };
}
