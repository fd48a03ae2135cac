import { godwitError } from '../../errors.ts';
import { evacuate, type Leaver } from '../../planner/evacuate.ts';
import type { Inventory } from '../../planner/inventory.ts';
import { COSTS } from '../../migration/prediction/parameters.ts';
import { defined } from '../../protocol/defined.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import { lineBetween } from '../site-map.ts';
import { labelsOf, noticeMsOf, ownOf, type World } from './facts.ts';
import type {
  Move,
  PlannedStep,
  FleetRequest,
  FleetRequestAsk,
} from '../../protocol/controller/fleet-request.ts';
import type { FleetRequestPlan as ReportedPlan } from '../../protocol/controller/fleet-requests.ts';

/** Evacuation of a site over its line to another, within a deadline and a budget. Pure. */

export type PlannedLine = NonNullable<ReportedPlan['line']>;

const MAX_PER_MOVE = 1e9 / COSTS.plain.secondsPerGb;
/** Extra time assumed for an overdue move, as a share. */
const OVERRUN = 0.1;
const MAX_TIMEOUT_MS = 86_400_000;
const MIN_TIMEOUT_MS = 60_000;
const GB = 1e9;

interface EvacuationFacts {
  readonly request: FleetRequest;
  readonly inventory: Inventory;
  readonly world: World;
  readonly open: readonly Move[];
}

interface Destinations {
  readonly steps: readonly PlannedStep[];
  readonly refused: ReadonlyMap<string, string>;
}

interface EvacuationPlan extends Destinations {
  readonly late: readonly string[];
  readonly parallel?: number;
  readonly seconds?: number;
  readonly line?: PlannedLine;
}

/** The moves by priority, without those that exceed the deadline or the budget. */
export function byDeadline(plan: Destinations, known: EvacuationFacts): EvacuationPlan {
  const { request, inventory, world, open } = known;
  const { ask } = request;
  const line = ask.sites === undefined ? undefined : lineBetween(world.siteLinks, ask.sites);
  if (line === undefined) return withoutLine(plan, request);
  const byName = new Map(inventory.guests.map((each) => [each.name, each]));
  const leavers = plan.steps.flatMap(({ guest: name, to }): Leaver[] => {
    const guest = byName.get(name);
    return guest === undefined ? [] : [leaverOf({ guest, to }, request, world)];
  });
  const budgetBytes =
    ask.budgetBytes === undefined ? undefined : ask.budgetBytes - (world.spentBytes ?? 0);
  const found = evacuate(leavers, {
    bytesPerSecond: line.bytesPerS,
    mostPerMove: MAX_PER_MOVE,
    deadlineSeconds:
      ask.deadlineAtMs === undefined ? Infinity : (ask.deadlineAtMs - world.nowMs) / 1000,
    ...defined({ budgetBytes }),
    running: open.map((each) => secondsLeft(each, world.nowMs)),
    mostAtOnce: ask.maxParallel ?? Infinity,
  });
  const steps = found.leaving.map(
    ({ guest, to, how, bytes, startSeconds, endSeconds }): PlannedStep => {
      const seconds = endSeconds - startSeconds;
      return { guest, to, seconds, how, bytes, startsInSeconds: startSeconds };
    },
  );
  return {
    steps,
    parallel: found.lanes,
    seconds: Math.max(0, ...found.leaving.map(({ endSeconds }) => endSeconds)),
    late: [],
    refused: new Map([
      ...plan.refused,
      ...found.staying.map(({ guest, words }) => [guest, words] as const),
    ]),
    line: {
      bytesPerS: line.bytesPerS,
      roundTripMs: line.roundTripMs,
      bytes: found.bytes,
      ...defined({ budgetBytes: ask.budgetBytes }),
      cost: (found.bytes / GB) * line.costPerGb,
      ...defined({ measured: request.measuredLine }),
    },
  };
}

function withoutLine(plan: Destinations, { ask }: FleetRequest): EvacuationPlan {
  const words = noLine(ask.sites ?? { from: '', to: '' });
  const refused = plan.steps.map(({ guest }) => [guest, words] as const);
  return { steps: [], late: [], refused: new Map([...plan.refused, ...refused]) };
}

const noLine = ({ from, to }: { readonly from: string; readonly to: string }): string =>
  `no line between ${from} and ${to} is in the map of sites`;

function leaverOf(
  { guest, to }: Pick<Leaver, 'guest' | 'to'>,
  request: FleetRequest,
  world: World,
): Leaver {
  const size = ownOf(request.sizes ?? {}, guest.name);
  return {
    guest,
    to,
    priority: guest.priority ?? 0,
    noticeSeconds: noticeMsOf(guest.name, request, world) / 1000,
    ...defined({ size }),
    diskBytes: world.guests.get(guest.name)?.diskBytes ?? 0,
    // Only the hosts can tell whether a guest supports post-copy, so a failed one does not try it again.
    mayPostcopy: (ownOf(request.tries, guest.name)?.count ?? 0) === 0,
    maxPauseSeconds: pauseMs(guest.name, request, world) / 1000,
  };
}

/** Permitted pause: the request's and the label's limit. */
function pauseMs(guest: string, { ask }: FleetRequest, world: World): number {
  const labels = labelsOf(world, guest);
  const labelled = 'words' in labels ? 0 : (labels.maxDowntimeMs ?? Infinity);
  return Math.min(ask.maxPauseMs ?? 0, labelled);
}

const secondsLeft = ({ createdAtMs, seconds }: Move, nowMs: number): number =>
  Math.max(seconds - (nowMs - createdAtMs) / 1000, seconds * OVERRUN);

export function settingsFor(
  request: FleetRequest,
  world: World,
  step: PlannedStep | undefined,
): FleetRequestAsk['settings'] {
  const { ask } = request;
  if (ask.sites === undefined || step === undefined) return ask.settings;
  const timeoutMs = Math.min(
    MAX_TIMEOUT_MS,
    Math.max(MIN_TIMEOUT_MS, ask.settings.timeoutMs ?? 0, Math.ceil(step.seconds * 2000)),
  );
  const settings = { ...ask.settings, timeoutMs };
  if (step.how === 'postcopy') return { ...settings, mode: 'postcopy' };
  if (step.how !== 'pause') return settings;
  return {
    ...settings,
    maxDowntimeMs: Math.max(1, Math.floor(pauseMs(step.guest, request, world))),
  };
}

/** GODWIT_USAGE for an invalid evacuation of a site. */
export function checkSites(ask: FleetRequestAsk, world: World): void {
  const { kind, sites, hosts, to = [], budgetBytes, maxPauseMs, deadlineAtMs } = ask;
  const usage = (what: string, hint?: string): Error =>
    godwitError('GODWIT_USAGE', { what }, hint === undefined ? {} : { hint });
  if (sites === undefined) {
    if (budgetBytes === undefined && maxPauseMs === undefined) return;
    throw usage('a budget and a pause are for the evacuation of a site to another');
  }
  if (kind !== 'evacuate') throw usage(`a ${kind} is not from a site to another`);
  if (to.length === 0) throw usage(`no host is at ${sites.to}`);
  const strays = (names: readonly string[], site: string): string | undefined =>
    names.find((name) => world.hosts.get(name)?.site !== site);
  const stray = strays(hosts, sites.from) ?? strays(to, sites.to);
  if (stray !== undefined) {
    const site = world.hosts.get(stray)?.site;
    const at = site === undefined ? 'names no site' : `is at ${site}`;
    throw usage(`${stray} ${at}; this goes from ${sites.from} to ${sites.to}`);
  }
  if (lineBetween(world.siteLinks, sites) === undefined) {
    throw usage(noLine(sites), 'Name it in `siteLinks` of the controller’s configuration.');
  }
  if (deadlineAtMs !== undefined && deadlineAtMs <= world.nowMs) {
    throw usage(`its deadline is in the past: ${pastBy(deadlineAtMs, world.nowMs)}`);
  }
}

function pastBy(deadlineAtMs: number, nowMs: number): string {
  const [asked, now] = [deadlineAtMs, nowMs].map((ms) => new Date(ms).toISOString());
  return `${asked} was ${formatDuration(nowMs - deadlineAtMs)} before ${now}, the controller’s now`;
}
