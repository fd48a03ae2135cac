import type { GuestInfo } from './hosts/host.ts';

/**
 * Merges several hosts' reports into one row per guest. Reports of a moving guest may come from different moments.
 * Epochs order them: each completed move increases the guest's epoch.
 */

export type GuestReport = Pick<
  GuestInfo,
  'name' | 'host' | 'uuid' | 'state' | 'manager' | 'epoch' | 'migration' | 'moving'
>;

export interface MergedGuest<T> {
  readonly row: T;
  readonly others: readonly T[];
}

/**
 * One row per guest, in the order of the reports. Two rows of one guest mean that two hosts run it with the same right:
 * their epochs are equal or absent, and no migration connects them.
 */
export function mergeReports<T extends GuestReport>(reports: readonly T[]): MergedGuest<T>[] {
  const merged = new Map<T, MergedGuest<T>>();
  for (const group of groupReports(reports))
    for (const each of mergeGroup(group)) merged.set(each.row, each);
  return reports.flatMap((each) => merged.get(each) ?? []);
}

export function eachOnce(guests: readonly GuestInfo[]): GuestInfo[] {
  return mergeReports(guests).map(({ row, others }) => {
    if (row.moving === undefined) return withOthers(row, others);
    const { from, to, runsAt } = row.moving;
    const runners: Partial<Record<typeof runsAt, string>> = { source: from, destination: to };
    return { ...row, host: runners[runsAt] ?? row.host };
  });
}

/** Tells whether another host has reported the guest since: it has arrived there or moved on. */
export function isSuperseded<T extends GuestReport>(report: T, others: readonly T[]): boolean {
  return mergeReports([report, ...others]).some(
    (each) => each.others.includes(report) && rankOf(each.row) === RANK.claim,
  );
}

/** Tells whether the host claims the guest itself, not a waiting or abandoned copy. */
export function isClaim(report: GuestReport): boolean {
  return rankOf(report) === RANK.claim && !hasLeft(report);
}

/** A second copy may run, so the row names the other host. */
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

/** Groups reports by guest. Guests of one name with different UUIDs are different. */
export function groupReports<T extends GuestReport>(reports: readonly T[]): T[][] {
  const namesakes = Map.groupBy(reports, ({ name }) => name);
  return [...namesakes.values()].flatMap((each) => (each.length === 1 ? [each] : apart(each)));
}

function apart<T extends GuestReport>(namesakes: readonly T[]): T[][] {
  const known = namesakes.filter(
    ({ uuid, moving, state }) =>
      uuid !== undefined || (moving === undefined && state !== 'incoming'),
  );
  const isKnown = new Set(known);
  const identities = new Set(known.map(identityOf));
  const [only] = identities;
  const linked = links(known);
  const keyOf = (report: T): string => {
    if (isKnown.has(report)) return identityOf(report);
    // A copy reports its UUID only after it was queried; its migration names the guest.
    const guest = linked(report);
    if (guest !== undefined) return identityOf(guest);
    return identities.size === 1 && only !== undefined ? only : identityOf(report);
  };
  return [...Map.groupBy(namesakes, keyOf).values()];
}

/** Containers of managers have no UUID, and their names are unique only on one host. */
function identityOf({ uuid, manager, moving, host }: GuestReport): string {
  if (uuid !== undefined) return `uuid ${uuid}`;
  return manager === undefined || moving !== undefined ? 'name' : `host ${host}`;
}

/** Linear, because a host may report thousands of namesakes. */
function links<T extends GuestReport>(known: readonly T[]): (report: GuestReport) => T | undefined {
  const places = new Map<string, number>();
  for (const [place, { host, migration }] of known.entries())
    for (const key of [`at ${host}`, ...(migration === undefined ? [] : [`by ${migration}`])])
      if (!places.has(key)) places.set(key, place);
  return ({ migration, moving }) => {
    const keys = [
      ...(migration === undefined ? [] : [`by ${migration}`]),
      ...(moving === undefined ? [] : [`at ${moving.from}`, `at ${moving.to}`]),
    ];
    const first = Math.min(...keys.map((key) => places.get(key) ?? known.length));
    return known[first];
  };
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

/** The guest's epoch after this report's move. A build without epochs orders only its own moves. */
function epochAfter({ epoch = 0, moving }: GuestReport): number {
  return moving?.epoch ?? epoch + 1;
}

function orderByEpoch(group: readonly GuestReport[]): (report: GuestReport) => number {
  // Epochs after moves by the guest's own host: by destination, and by destination and migration.
  const arrivals = new Map<string, number>();
  const epochs = new Map<string, number>();
  const raise = (map: Map<string, number>, key: string, epoch: number): void =>
    void map.set(key, Math.max(epoch, map.get(key) ?? 0));
  for (const other of group) {
    const { host, migration, moving } = other;
    raise(epochs, host, other.epoch ?? 0);
    if (moving === undefined || moving.from !== host) continue;
    raise(arrivals, moving.to, epochAfter(other));
    if (migration !== undefined) raise(arrivals, `${moving.to} ${migration}`, epochAfter(other));
  }
  return (report) => {
    const { host, migration, moving } = report;
    const own = report.epoch ?? 0;
    if (hasLeft(report)) return epochAfter(report);
    const isDated = report.epoch !== undefined || moving?.epoch !== undefined;
    if (isDated) return hasArrived(report) ? Math.max(own, epochAfter(report)) : own;
    // Managers and earlier builds give the destination no epoch: the migration itself orders its ends.
    const arrived = arrivals.get(migration === undefined ? host : `${host} ${migration}`) ?? 0;
    const source = moving !== undefined && hasArrived(report) ? epochs.get(moving.from) : undefined;
    return Math.max(own, arrived, source === undefined ? 0 : source + 1);
  };
}

function mergeGroup<T extends GuestReport>(group: readonly T[]): MergedGuest<T>[] {
  const [first] = group;
  if (first === undefined) return [];
  if (group.length === 1) return [{ row: first, others: [] }];
  const epochOf = orderByEpoch(group);
  const places = group.map((report) => ({
    report,
    order: [rankOf(report), epochOf(report), hasLeft(report) ? 0 : 1] as const,
  }));
  const newest = places.reduce((best, each) => (compare(each.order, best.order) > 0 ? each : best));
  const equals = places.filter(({ order }) => compare(order, newest.order) === 0);
  const reports = equals.map(({ report }) => report);
  const isOne = newest.order[0] === RANK.waiting || hasLeft(newest.report);
  const rows = isOne
    ? [reports.reduce((one, other) => (one.host <= other.host ? one : other))]
    : reports;
  const isRow = new Set(rows);
  const others = group.filter((each) => !isRow.has(each));
  return rows.map((row) => ({ row, others }));
}

function compare(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((each, place) => each !== right[place]);
  return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}
