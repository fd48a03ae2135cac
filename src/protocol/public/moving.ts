import type { GuestInfo } from './host.ts';

/**
 * Merges the reports of several hosts into one row per guest. Hosts report at their own pace, so the reports of a guest
 * that moves may be of different moments. Epochs order them: each completed move gives the guest a higher one.
 */

/** The part of a report that decides which report of a guest is the newest. */
export type GuestReport = Pick<
  GuestInfo,
  'name' | 'host' | 'uuid' | 'state' | 'manager' | 'epoch' | 'migration' | 'moving'
>;

export interface MergedGuest<T> {
  readonly row: T;
  /** The other reports of the same guest: its waiting copy, an older report, a stopped definition. */
  readonly others: readonly T[];
}

/**
 * One row for each guest, in the order of the reports. Two rows of one guest mean that two hosts run it with the same
 * right: reports with equal epochs, or without any, and no migration between these hosts.
 */
export function mergeReports<T extends GuestReport>(reports: readonly T[]): MergedGuest<T>[] {
  const merged = new Map<T, MergedGuest<T>>();
  for (const group of groupReports(reports))
    for (const each of mergeGroup(group)) merged.set(each.row, each);
  return reports.flatMap((each) => merged.get(each) ?? []);
}

/** Guests as all hosts report them, each once, under the host that runs it. */
export function eachOnce(guests: readonly GuestInfo[]): GuestInfo[] {
  return mergeReports(guests).map(({ row, others }) => {
    if (row.moving === undefined) return withOthers(row, others);
    const { from, to, runsAt } = row.moving;
    const runners: Partial<Record<typeof runsAt, string>> = { source: from, destination: to };
    return { ...row, host: runners[runsAt] ?? row.host };
  });
}

/** Whether another host reports the guest of this report since: the guest has arrived there, or has moved on. */
export function isSuperseded<T extends GuestReport>(report: T, others: readonly T[]): boolean {
  return mergeReports([report, ...others]).some(
    (each) => each.others.includes(report) && rankOf(each.row) === RANK.claim,
  );
}

/** Whether the host claims to have the guest itself, as opposed to a copy that waits for its memory or is left behind. */
export function isClaim(report: GuestReport): boolean {
  return rankOf(report) === RANK.claim && !hasLeft(report);
}

/** A second copy may run: the guest is one row, and the row names the other host. */
function withOthers(row: GuestInfo, others: readonly GuestInfo[]): GuestInfo {
  const words = others
    .filter((each) => isClaim(each) || each.state === 'stopped')
    .slice(0, MAX_NAMED)
    .map(({ host, state }) => `${host} reports it as ${state} too, by an older epoch`);
  if (words.length === 0) return row;
  return { ...row, warnings: [...words, ...(row.warnings ?? [])].slice(0, MAX_WARNINGS) };
}
const MAX_NAMED = 8;
const MAX_WARNINGS = 64;

/** The reports of each guest. Guests with one name and different uuids are different guests. */
export function groupReports<T extends GuestReport>(reports: readonly T[]): T[][] {
  const namesakes = Map.groupBy(reports, ({ name }) => name);
  return [...namesakes.values()].flatMap((each) => (each.length === 1 ? [each] : apart(each)));
}

function apart<T extends GuestReport>(namesakes: readonly T[]): T[][] {
  const known = namesakes.filter(
    ({ uuid, moving, state }) =>
      uuid !== undefined || (moving === undefined && state !== 'incoming'),
  );
  const identities = new Set(known.map(identityOf));
  const [only] = identities;
  const keyOf = (report: T): string => {
    if (known.includes(report)) return identityOf(report);
    // A copy reports its uuid only once it has been asked: its migration names the guest.
    const guest = known.find((each) => areLinked(report, each));
    if (guest !== undefined) return identityOf(guest);
    return identities.size === 1 && only !== undefined ? only : identityOf(report);
  };
  return [...Map.groupBy(namesakes, keyOf).values()];
}

/** Containers of managers have no uuid, and their names are unique on one host only. */
function identityOf({ uuid, manager, moving, host }: GuestReport): string {
  if (uuid !== undefined) return `uuid ${uuid}`;
  return manager === undefined || moving !== undefined ? 'name' : `host ${host}`;
}

function areLinked({ migration, moving }: GuestReport, guest: GuestReport): boolean {
  if (migration !== undefined && migration === guest.migration) return true;
  return guest.host === moving?.from || guest.host === moving?.to;
}

const RANK = { waiting: 0, stopped: 1, claim: 2 } as const;

function rankOf({ host, state, moving }: GuestReport): number {
  const isDestination = moving !== undefined && moving.to === host && moving.from !== host;
  if (isDestination) return moving.runsAt === 'destination' ? RANK.claim : RANK.waiting;
  if (state === 'incoming') return RANK.waiting;
  return state === 'stopped' && moving === undefined ? RANK.stopped : RANK.claim;
}

/** The source reports that the destination runs the guest. */
function hasLeft({ host, moving }: GuestReport): boolean {
  return moving?.from === host && moving.to !== host && moving.runsAt === 'destination';
}

function hasArrived({ host, moving }: GuestReport): boolean {
  return moving?.to === host && moving.runsAt === 'destination';
}

/** The epoch that the guest has after the move of this report. A build that reports none orders its own moves only. */
function epochAfter({ epoch = 0, moving }: GuestReport): number {
  return moving?.epoch ?? epoch + 1;
}

function epochOf(report: GuestReport, group: readonly GuestReport[]): number {
  const { host, migration, moving } = report;
  const own = report.epoch ?? 0;
  if (hasLeft(report)) return epochAfter(report);
  const isDated = report.epoch !== undefined || moving?.epoch !== undefined;
  if (isDated) return hasArrived(report) ? Math.max(own, epochAfter(report)) : own;
  // Neither managers nor earlier builds give epochs to the destination: the migration itself orders its two ends.
  const ends = group.map((other) => {
    const isItsMove = migration === undefined || migration === other.migration;
    if (other.moving?.from === other.host && other.moving.to === host && isItsMove)
      return epochAfter(other);
    return hasArrived(report) && moving?.from === other.host ? (other.epoch ?? 0) + 1 : 0;
  });
  return Math.max(own, ...ends);
}

function mergeGroup<T extends GuestReport>(group: readonly T[]): MergedGuest<T>[] {
  const [first] = group;
  if (first === undefined) return [];
  if (group.length === 1) return [{ row: first, others: [] }];
  const places = group.map((report) => ({
    report,
    order: [rankOf(report), epochOf(report, group), hasLeft(report) ? 0 : 1] as const,
  }));
  const newest = places.reduce((best, each) => (compare(each.order, best.order) > 0 ? each : best));
  const equals = places.filter(({ order }) => compare(order, newest.order) === 0);
  const reports = equals.map(({ report }) => report);
  const isOne = newest.order[0] === RANK.waiting || hasLeft(newest.report);
  const rows = isOne
    ? [reports.reduce((one, other) => (one.host <= other.host ? one : other))]
    : reports;
  const others = group.filter((each) => !rows.includes(each));
  return rows.map((row) => ({ row, others }));
}

function compare(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((each, place) => each !== right[place]);
  return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}
