import { withDeadline } from '../../deadline.ts';
import { isManaged, type Driver } from '../../drivers/registry.ts';
import type { ManagedDriver } from '../../port/managed.ts';
import { toGodwitError } from '../../errors.ts';
import { orderOf } from '../../migration/managed/events.ts';
import { refusal } from '../../migration/preflight/check.ts';
import { passes, type Finding } from '../../migration/preflight/finding.ts';
import {
  byAgents,
  judgeLink,
  judgeMigrationNetwork,
  judgeRoundTrip,
  type LinkFacts,
} from '../../migration/preflight/link.ts';
import type { CheckName } from '../../migration/preflight/table.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { LookAtPath } from '../../host/machine/path-look.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import { proverThrough } from '../managed/device-prover.ts';
import { checkMove, inspect, type LookDependencies } from '../managed/examine.ts';
import { checkWire, type WireAsked } from '../managed/wire-offer.ts';
import {
  check,
  MAX_CHECKS,
  migrationSettings,
  type Check,
} from '../../protocol/public/migration.ts';
import type { CheckDependencies, ExaminationRequest, ExaminedHost } from './questions.ts';

const MAX_WORDS = 4096;

/** Driver of a guest that a manager moves; undefined for direct drivers. */
export function managerOf(
  drivers: readonly Driver[],
  { handle }: Pick<ExaminationRequest, 'handle'>,
): ManagedDriver | undefined {
  const driver = drivers.find(({ name }) => name === handle.driver);
  return driver !== undefined && isManaged(driver) ? driver : undefined;
}

export interface ManagerAsked extends Pick<LinkAsked, 'lookAtPath'> {
  readonly here: string;
  readonly withinMs: number;
  readonly peers: Pick<CheckDependencies['peers'], 'preflight' | 'address' | 'linkProbe'>;
}

/** The manager's findings on the move, as at the start of a migration; starts nothing. */
export async function askManager(
  driver: ManagedDriver,
  {
    id,
    request,
    handle,
    from,
    seen,
  }: Pick<ExaminationRequest, 'id' | 'request' | 'handle' | 'from' | 'seen'>,
  { here, withinMs, peers, lookAtPath }: ManagerAsked,
  signal: AbortSignal,
): Promise<Pick<ExaminedHost, 'checks' | 'copiesDisks'>> {
  const { guest, to } = request;
  const settings = migrationSettings.parse(request);
  const order = orderOf({ id, guest, from: from ?? here, to, settings });
  const what = `the manager of ${guest}, asked about ${to}`;
  try {
    return await withDeadline(what, Math.max(0, withinMs), signal, async (within) => {
      const session = await driver.openManaged(handle, within);
      const deps: LookDependencies = {
        order,
        ask: (question) => question(session, within),
        proveDevices: proverThrough({
          here,
          as: 'agent',
          settings,
          askThere:
            peers.address(to) === undefined
              ? undefined
              : (body, options) => peers.preflight(to).preflightStorage({ body }, options),
        }),
        wire: order.wire === true ? { check: wireCheck } : undefined,
      };
      try {
        const { checks, memoryBytes } = await inspect(deps, within);
        const found = await checkMove(deps, within);
        const asked = { here, order, memoryBytes, link: seen.link, peers, lookAtPath };
        const all = [...checks, ...found.checks, ...(await linkChecks(asked, within))];
        const copiesDisks = (found.copies ?? []).length > 0;
        return { checks: check.array().parse(all.slice(0, MAX_CHECKS)), copiesDisks };
      } finally {
        await session.close();
      }
    });
  } catch (thrown) {
    signal.throwIfAborted();
    return { checks: [refusal('destination', toGodwitError(thrown), 'both')] };
  }

  function wireCheck(disks: boolean, within: AbortSignal): Promise<Check> {
    const ask: WireAsked['ask'] = (query, options) =>
      peers.preflight(to).offerReceiver({ query }, options);
    return checkWire({ driver, guest, from: here, to, disks, ask }, within);
  }
}

/** The guest's write rate as its manager measures it, or the reason for none; over a separate connection. */
export async function measureByManager(
  driver: ManagedDriver,
  { handle, request: { guest } }: Pick<ExaminationRequest, 'handle' | 'request'>,
  withinMs: number,
  signal: AbortSignal,
): Promise<Pick<ExaminedHost, 'measured' | 'unmeasured'>> {
  const { measures = false, noMeasures = `the driver ${driver.name} cannot` } = driver.capabilities;
  if (!measures) return { unmeasured: `its manager moves it, and ${noMeasures}` };
  const what = `what ${guest} writes, asked of its manager`;
  try {
    return await withDeadline(what, Math.max(0, withinMs), signal, async (within) => {
      const session = await driver.openManaged(handle, within);
      try {
        const measured = await session.measure?.(within);
        return measured === undefined ? { unmeasured: noMeasures } : { measured };
      } finally {
        await session.close();
      }
    });
  } catch (thrown) {
    signal.throwIfAborted();
    return { unmeasured: toGodwitError(thrown).message.slice(0, MAX_WORDS) };
  }
}

const QUESTION_MS = 2000;

type LinkCheck = Extract<CheckName, 'link' | 'round-trip' | 'migration-network'>;
const JUDGES: readonly [LinkCheck, (facts: LinkFacts) => Finding[]][] = [
  ['round-trip', judgeRoundTrip],
  ['link', judgeLink],
  ['migration-network', judgeMigrationNetwork],
];

export interface LinkAsked {
  readonly here: string;
  readonly order: Pick<ManagedOrder, 'from' | 'to' | 'mode' | 'wire'>;
  readonly memoryBytes: number;
  readonly link: LinkMeasure | undefined;
  readonly peers: Pick<CheckDependencies['peers'], 'address' | 'linkProbe'>;
  readonly lookAtPath: LookAtPath;
}

/** Checks of the link between the agents at both ends of a manager's transfer. */
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
