/** Predicted times of a drain's moves with their uncertainty, and whether the deadline is met. Pure. */

import { START_MS } from '../../migration/prediction/parameters.ts';
import { scenarios } from '../../migration/prediction/scenarios.ts';
import { defined } from '../../protocol/defined.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { bytesOf, linkOf, mostOf, sharedBetween } from '../destinations.ts';
import type {
  BusiestLink,
  Deadline,
  DrainOptions,
  DrainPlan,
  Eta,
  LinkFactors,
  RunningMove,
  Slot,
} from './drain-options.ts';
import type { Fleet, Seat } from '../fleet.ts';
import { bestSchedule, type Schedule } from '../schedule.ts';
import { problemOf, secondsOf, type Links, type Transfer } from '../timetable.ts';
import { learned } from '../link-factors.ts';

const PARALLEL = 8;
const PER_HOST = 4;

type Times = Omit<DrainPlan, 'moves' | 'refusals' | 'wake' | 'emptied'> & {
  readonly order: readonly Seat[];
};

export function timesOf(
  fleet: Fleet,
  seats: readonly Seat[],
  { options, running }: { options: DrainOptions; running: ReadonlyMap<Seat, RunningMove> },
): Times {
  const all = [...running.keys(), ...seats];
  if (all.length === 0) return nothingToDo(options);
  const transfers = all.map((seat) => transferOf(seat, running.get(seat)));
  const links = linksOf(fleet, options);
  const linkFactors = learned(
    problemOf(transfers.slice(0, running.size), links, options.linkFactors),
    options,
    (index) => all[index]?.guest.name,
  );
  const problem = problemOf(transfers, links, linkFactors);
  const found = bestSchedule(problem, orderBefore(all, options));
  const slots = slotsOf(found, all, running);
  const { seconds } = found;
  const late = slots.filter(({ endSeconds }) => endSeconds > (options.deadlineSeconds ?? Infinity));
  const busiest = busiestOf(found, all);
  return {
    order: found.order.flatMap((index) => {
      const seat = all[index];
      return seat === undefined || running.has(seat) ? [] : [seat];
    }),
    parallel: mostAtOnce(slots),
    seconds,
    late: late.map(({ guest }) => guest),
    timetable: slots,
    linkFactors,
    eta: etaOf(found, linkFactors),
    ...defined({ busiest }),
    ...deadlineOf(seconds, busiest, options),
  };
}

function nothingToDo(options: DrainOptions): Times {
  return {
    order: [],
    parallel: 1,
    seconds: 0,
    late: [],
    timetable: [],
    linkFactors: options.linkFactors ?? {},
    eta: { seconds: 0, low: 0, high: 0 },
    ...deadlineOf(0, undefined, options),
  };
}

function transferOf(seat: Seat, running: RunningMove | undefined): Transfer {
  const { guest, from, at } = seat;
  const transfer = {
    from: from.host.name,
    to: at.host.name,
    memoryBytes: guest.usedBytes ?? guest.memoryBytes,
    dirtyBytesPerSecond: guest.dirtyBytesPerSecond ?? 0,
    workingSetBytes: guest.workingSetBytes,
  };
  if (running === undefined) return transfer;
  const { leftBytes, roundSeconds = 0, elapsedSeconds } = running;
  const leadSeconds = leftBytes === undefined ? Math.max(0, START_MS / 1000 - elapsedSeconds) : 0;
  const written = Math.min(
    guest.workingSetBytes ?? transfer.memoryBytes,
    transfer.dirtyBytesPerSecond * roundSeconds,
  );
  const left = (leftBytes ?? transfer.memoryBytes) + written;
  return { ...transfer, running: { leftBytes: Math.max(1, left), leadSeconds } };
}

function linksOf(fleet: Fleet, options: DrainOptions): Links {
  const { parallel = PARALLEL, perHost = PER_HOST, between = {} } = options;
  return {
    bytesPerSecond: (name) => linkOf(fleet.byName.get(name)),
    trunk: (from, to) => sharedBetween(options, fleet.byName.get(from), fleet.byName.get(to)),
    mostPerMove: mostOf(options),
    parallel,
    out: options.out ?? perHost,
    in: options.in ?? perHost,
    between: (from, to) => between[`${from}>${to}`],
  };
}

/** Running moves first, then the earlier plan's order; empty if that had other moves. */
function orderBefore(all: readonly Seat[], { before = [], running = [] }: DrainOptions): number[] {
  if (before.length === 0) return [];
  const places = new Map([...running, ...before].map(({ guest }, place) => [guest, place]));
  return all
    .map((seat, index) => ({ index, place: places.get(seat.guest.name) ?? Infinity }))
    .toSorted((left, right) => left.place - right.place)
    .map(({ index }) => index);
}

function slotsOf(
  { problem, order, pace }: Schedule,
  seats: readonly Seat[],
  running: ReadonlyMap<Seat, RunningMove>,
): Slot[] {
  const starts = seats.map(() => 0);
  const ends = seats.map(() => Infinity);
  secondsOf(problem, order, pace, {
    started: (index, seconds) => void (starts[index] = seconds),
    ended: (index, seconds) => void (ends[index] = seconds),
  });
  return order.flatMap((index): Slot[] => {
    const seat = seats[index];
    if (seat === undefined) return [];
    return [
      {
        guest: seat.guest.name,
        to: seat.at.host.name,
        running: running.has(seat),
        startSeconds: starts[index] ?? 0,
        endSeconds: ends[index] ?? Infinity,
      },
    ];
  });
}

function mostAtOnce(slots: readonly Slot[]): number {
  let most = 1;
  for (const { startSeconds: at } of slots) {
    const count = slots.filter((each) => each.startSeconds <= at && each.endSeconds > at).length;
    most = Math.max(most, count);
  }
  return most;
}

/** Every eighth of the prediction's 256 cases is enough here. */
const EVERY = 8;
/** Spreads of the logarithm: nominal link rates are less certain than observed ones. */
const SPREADS = { dirty: 0.25, share: 0, processor: 0, fixed: 0.5 };
const LINK_SAID = 0.12;
const LINK_SEEN = 0.09;
const OUT = 3;

/** Range of the same schedule under varied conditions. */
function etaOf({ problem, order, pace, seconds }: Schedule, factors: LinkFactors): Eta {
  const link = Object.keys(factors).length > 0 ? LINK_SEEN : LINK_SAID;
  const outcomes = scenarios({ ...SPREADS, link })
    .filter((_, index) => index % EVERY === 0)
    .map((weather) => secondsOf(problem, order, pace, {}, weather))
    .toSorted((left, right) => left - right);
  return {
    seconds,
    low: Math.min(seconds, outcomes[OUT] ?? seconds),
    high: Math.max(seconds, outcomes.at(-1 - OUT) ?? seconds),
  };
}

function busiestOf({ problem }: Schedule, seats: readonly Seat[]): BusiestLink | undefined {
  const bytes = problem.capacity.map(() => 0);
  for (const { resources, transfer, most, index } of problem.moves) {
    const seat = seats[index];
    if (seat === undefined) continue;
    const sent = transfer.running?.leftBytes ?? bytesOf(seat, most);
    for (const each of resources) bytes[each] = (bytes[each] ?? 0) + sent;
  }
  let busiest: BusiestLink | undefined;
  for (const [index, bytesPerSecond] of problem.capacity.entries()) {
    const each = { name: problem.names[index] ?? '', bytes: bytes[index] ?? 0, bytesPerSecond };
    if (busiest === undefined || timeOf(each) > timeOf(busiest)) busiest = each;
  }
  return busiest;
}

const timeOf = ({ bytes, bytesPerSecond }: BusiestLink): number => bytes / bytesPerSecond;

function deadlineOf(
  needs: number,
  busiest: BusiestLink | undefined,
  { deadlineSeconds }: DrainOptions,
): { deadline?: Deadline } {
  if (deadlineSeconds === undefined) return {};
  const through = busiest === undefined ? 'there is nothing to move' : throughWords(busiest);
  const words = `needs ${shown(needs)}: ${through}; ${shown(deadlineSeconds)} are there`;
  return { deadline: { seconds: deadlineSeconds, met: needs <= deadlineSeconds, words } };
}

export const throughWords = ({ name, bytes, bytesPerSecond }: BusiestLink): string =>
  `${formatBytes(bytes)} through the ${bitsOf(bytesPerSecond)} of ${name}`;

const shown = (seconds: number): string =>
  Number.isFinite(seconds) ? formatDuration(seconds * 1000) : 'for ever';

/** Decimal bits, as link speeds are given. */
function bitsOf(bytesPerSecond: number): string {
  const bits = bytesPerSecond * 8;
  const [value, unit] = bits >= 1e9 ? [bits / 1e9, 'Gbit/s'] : [bits / 1e6, 'Mbit/s'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}
