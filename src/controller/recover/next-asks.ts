import { MAX_ROWS, type StandbyRow } from '../store/standbys.ts';

/** Chooses the hosts to ask next about keeping guests. Each function takes linear time. */

const WANTED = 2;
/** A kept guest is offered again after this time, since it may have changed. */
const FRESH_MS = 3_600_000;
/** A host that refused is asked again after this time. */
const AGAIN_MS = 600_000;

export interface StandbyAsk {
  readonly host: string;
  readonly guest: string;
  readonly to: string;
}

export interface Source {
  readonly host: string;
  readonly guests: readonly string[];
  readonly rows: readonly StandbyRow[];
}

type Hash = (text: string) => string;

/** Reachable hosts in a circle. Each guest starts at its own point. */
export class Circle {
  readonly #hosts: readonly string[];
  readonly #places: ReadonlyMap<string, number>;
  readonly #hash: Hash;

  /** `hash`: hexadecimal hash of a text. It separates neighbours of a rack. */
  constructor(up: readonly string[], hash: Hash) {
    const hashed = up.map((host) => ({ host, key: hash(host) }));
    this.#hosts = hashed.toSorted((one, other) => (one.key < other.key ? -1 : 1)).map(hostOf);
    this.#places = new Map(this.#hosts.map((host, place) => [host, place]));
    this.#hash = hash;
  }

  get size(): number {
    return this.#hosts.length;
  }

  has(host: string): boolean {
    return this.#places.has(host);
  }

  /** All hosts once, from the one after `last`, or from the guest's own point. */
  *from(host: string, guest: string, last: string | undefined): Generator<string> {
    const { length } = this.#hosts;
    const place = last === undefined ? undefined : this.#places.get(last);
    const begin = place === undefined ? this.#placeOf(`${host} ${guest}`) : place + 1;
    for (let step = 0; step < length; step += 1) yield this.#hosts[(begin + step) % length] ?? '';
  }

  #placeOf(text: string): number {
    return Number.parseInt(this.#hash(text).slice(0, 8), 16) % this.#hosts.length;
  }
}

const hostOf = ({ host }: { readonly host: string }): string => host;

const rowsOfEach = (guests: number): number => Math.floor(MAX_ROWS / Math.max(1, guests)) - 1;

/**
 * Rows to forget: of uncovered guests, of hosts that left the fleet, and the oldest of each guest beyond its share,
 * refusals first. Undefined guests: the host is down, so they are unknown.
 */
export function outdatedRows(
  { guests, rows }: { readonly guests: readonly string[] | undefined } & Pick<Source, 'rows'>,
  members: ReadonlySet<string>,
): StandbyRow[] {
  const covered = guests && new Set(guests);
  const isCurrent = ({ guest, to }: StandbyRow): boolean =>
    members.has(to) && covered?.has(guest) !== false;
  const [current, outdated] = [rows.filter(isCurrent), rows.filter((each) => !isCurrent(each))];
  if (guests === undefined) return outdated;
  const most = rowsOfEach(guests.length);
  for (const own of Map.groupBy(current, ({ guest }) => guest).values())
    if (own.length > most) outdated.push(...own.toSorted(byWorth).slice(most));
  return outdated;
}

const byWorth = (one: StandbyRow, other: StandbyRow): number =>
  Number(other.isKept) - Number(one.isKept) || one.ageMs - other.ageMs;

export interface AskOptions {
  readonly circle: Circle;
  readonly resting: ReadonlySet<string>;
  /** The guest of the last ask; the next ones come first. */
  readonly after: string | undefined;
  readonly max: number;
}

export function nextAsks(
  source: Source,
  { circle, resting, after, max }: AskOptions,
): StandbyAsk[] {
  const { host, guests, rows } = source;
  const byGuest = Map.groupBy(rows, ({ guest }) => guest);
  const isOpen = (to: string): boolean => circle.has(to) && to !== host && !resting.has(to);
  const closed = new Set([host, ...resting]);
  const open = circle.size - [...closed].filter((each) => circle.has(each)).length;
  const maxRefused = rowsOfEach(guests.length) - WANTED;
  const asks: StandbyAsk[] = [];
  for (const guest of rotated(guests, after)) {
    if (asks.length >= max || open === 0) break;
    const own = byGuest.get(guest) ?? [];
    const to = nextFor({ host, guest, own }, { circle, isOpen, open, maxRefused });
    if (to !== undefined) asks.push({ host, guest, to });
  }
  return asks;
}

interface Candidates {
  readonly circle: Circle;
  readonly isOpen: (to: string) => boolean;
  readonly open: number;
  readonly maxRefused: number;
}

/** The host to ask about that guest; undefined if enough hosts keep it, or none can be asked now. */
function nextFor(
  { host, guest, own }: { host: string; guest: string; own: readonly StandbyRow[] },
  { circle, isOpen, open, maxRefused }: Candidates,
): string | undefined {
  const recent = new Set<string>();
  let [fresh, refused, recentOpen] = [0, 0, 0];
  let [newest, stale]: (StandbyRow | undefined)[] = [];
  for (const row of own) {
    const { to, isKept, ageMs } = row;
    if (newest === undefined || ageMs < newest.ageMs) newest = row;
    if (ageMs < (isKept ? FRESH_MS : AGAIN_MS)) {
      recent.add(to);
      if (isOpen(to)) recentOpen += 1;
      if (!isKept) refused += 1;
      else if (circle.has(to)) fresh += 1;
    } else if (isKept && isOpen(to) && ageMs > (stale?.ageMs ?? 0)) stale = row;
  }
  if (fresh >= WANTED) return undefined;
  if (stale !== undefined) return stale.to;
  if (refused >= maxRefused || recentOpen >= open) return undefined;
  for (const to of circle.from(host, guest, newest?.to))
    if (isOpen(to) && !recent.has(to)) return to;
  return undefined;
}

export function rotated(names: readonly string[], after: string | undefined): string[] {
  const at = after === undefined ? -1 : names.findIndex((name) => name > after);
  return at < 0 ? [...names] : [...names.slice(at), ...names.slice(0, at)];
}

export function fairShares(hosts: readonly (readonly StandbyAsk[])[], max: number): StandbyAsk[][] {
  const shares = hosts.map((): StandbyAsk[] => []);
  let left = max;
  for (let turn = 0, served = 1; served > 0 && left > 0; turn += 1) {
    served = 0;
    for (const [place, asks] of hosts.entries()) {
      const ask = asks[turn];
      if (ask === undefined || left === 0) continue;
      shares[place]?.push(ask);
      left -= 1;
      served += 1;
    }
  }
  return shares.filter((share) => share.length > 0);
}
