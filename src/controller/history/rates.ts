/** A completed migration; times in ms since 1970, rates in bytes/s, null if unknown. */
export interface PastMigration {
  readonly guest: string;
  readonly source: string;
  readonly destination: string;
  readonly endedAtMs: number;
  readonly totalMs: number;
  readonly linkRate: number | null;
  readonly dirtyRate: number | null;
}

export interface PastRates {
  /** Dirty rate by guest, bytes/s. */
  readonly dirty: ReadonlyMap<string, number>;
  /** Rate of each host's link to its best peer, bytes/s. */
  readonly links: ReadonlyMap<string, number>;
  /** Key: `a>b`. Total rate of all moves from one host to the other, bytes/s. */
  readonly pairs: ReadonlyMap<string, number>;
}

export const NO_RATES: PastRates = { dirty: new Map(), links: new Map(), pairs: new Map() };

const NEWEST = 9;
/** A smaller migration was over before its link was full. */
const MIN_BYTES = 256 * 1024 * 1024;
/** Quantile of migrations that shows the link's rate; slower ones were limited by guest or disk. */
const GOOD = 0.75;
/** Moves that share a link have similar rates. */
const MUCH_FASTER = 1.6;
const SEEN_BESIDE = 0.2;

export function pastRates(migrations: readonly PastMigration[]): PastRates {
  const dirty = new Map<string, number>();
  for (const [guest, all] of Map.groupBy(migrations, (each) => each.guest)) {
    const rates = all.flatMap(({ dirtyRate }) => dirtyRate ?? []);
    if (rates.length > 0) dirty.set(guest, quantile(rates.slice(0, NEWEST), 0.5));
  }
  const reported = migrations.filter(isReported);
  const [out, into] = [Map.groupBy(reported, sourceOf), Map.groupBy(reported, destinationOf)];
  const links = new Map<string, number>();
  const pairs = new Map<string, number>();
  for (const [pair, all] of Map.groupBy(reported, (each) => `${each.source}>${each.destination}`)) {
    const carried = all.slice(0, NEWEST).map((each) => {
      const [from, to] = [out.get(each.source) ?? [], into.get(each.destination) ?? []];
      return Math.max(each.linkRate, filled(each, from) ?? 0, filled(each, to) ?? 0);
    });
    const rate = quantile(carried, GOOD);
    pairs.set(pair, rate);
    for (const host of new Set(
      all.slice(0, 1).flatMap((each) => [sourceOf(each), destinationOf(each)]),
    ))
      links.set(host, Math.max(rate, links.get(host) ?? 0));
  }
  return { dirty, links, pairs };
}

type MeasuredMigration = PastMigration & { readonly linkRate: number };

const isReported = (each: PastMigration): each is MeasuredMigration =>
  each.linkRate !== null && (each.linkRate * each.totalMs) / 1000 >= MIN_BYTES;
const sourceOf = ({ source }: PastMigration): string => source;
const destinationOf = ({ destination }: PastMigration): string => destination;

/**
 * Rate of the link during one migration: its own rate plus the overlapping parts of others. Undefined if another was
 * much faster: the limit was then not this link.
 */
function filled(one: MeasuredMigration, all: readonly MeasuredMigration[]): number | undefined {
  const beside = all
    .filter((each) => each !== one)
    .map(({ linkRate, ...times }) => ({ linkRate, part: overlap(one, times) }));
  const isFaster = beside.some(
    ({ linkRate, part }) => part > SEEN_BESIDE && linkRate > one.linkRate * MUCH_FASTER,
  );
  if (isFaster) return undefined;
  return beside.reduce((sum, { linkRate, part }) => sum + linkRate * part, one.linkRate);
}

type Times = Pick<PastMigration, 'endedAtMs' | 'totalMs'>;

function overlap(one: Times, other: Times): number {
  const from = Math.max(one.endedAtMs - one.totalMs, other.endedAtMs - other.totalMs);
  const both = Math.min(one.endedAtMs, other.endedAtMs) - from;
  return Math.min(1, Math.max(0, both) / Math.max(1, one.totalMs));
}

/** `amounts`: not empty. */
function quantile(amounts: readonly number[], share: number): number {
  const sorted = amounts.toSorted((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
}
