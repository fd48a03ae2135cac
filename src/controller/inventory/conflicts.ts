import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import type { Store } from '../store/store.ts';
import type { WrittenGuest } from './write-queue.ts';
import { claimants, identityOf, SETTLED_MS, type Claim } from './claims.ts';

const AT_ONCE = 500;
/** Interval of reports of a lasting conflict. */
const AGAIN_MS = 60_000;
/** Consecutive looks with fresh claims: a host that keeps changing its report cannot hide a conflict. */
const MAX_UNSETTLED = 3;

interface Due {
  readonly guest: WrittenGuest;
  readonly atMs: number;
  readonly unsettled: number;
}

/** Examines changed guests once both hosts had time to report. */
export class Conflicts {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #publish: (news: FleetNews) => void;
  readonly #due = new Map<string, Due>();
  readonly #known = new Set<string>();

  constructor(store: Store, clock: Clock, log: Log, publish: (news: FleetNews) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#publish = publish;
  }

  look(guests: readonly WrittenGuest[]): void {
    const atMs = this.#clock.monotonicMs() + SETTLED_MS + 1000;
    for (const guest of guests) {
      const identity = identityOf(guest);
      const before = this.#due.get(identity);
      if (before !== undefined && before.atMs <= atMs) continue;
      this.#due.delete(identity);
      this.#due.set(identity, { guest, atMs, unsettled: 0 });
    }
  }

  async turn(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const due: Due[] = [];
    for (const [identity, each] of this.#due) {
      const { atMs } = each;
      if (due.length >= AT_ONCE || (atMs > nowMs && !this.#known.has(identity))) break;
      if (atMs > nowMs) continue;
      due.push(each);
    }
    if (due.length === 0) return;
    const guests = due.map(({ guest }) => guest);
    const claims = await claimsOf(this.#store, guests);
    const { db, nowMs: storeNow } = this.#store;
    const { now } = await db.selectNoFrom(storeNow.as('now')).executeTakeFirstOrThrow();
    for (const each of due) this.#judge(each, claims.get(identityOf(each.guest)) ?? [], now);
  }

  /** Fresh claims may be the two ends of a move, but not in several looks. */
  #judge({ guest, unsettled }: Due, claims: readonly Claim[], storeNow: number): void {
    const identity = identityOf(guest);
    const settled = claimants(claims, storeNow);
    const hosts = settled.length > 0 ? settled : claimants(claims, storeNow, -Infinity);
    const isUnsettled = hosts.length > settled.length;
    if (isUnsettled && !this.#known.has(identity) && unsettled + 1 < MAX_UNSETTLED) {
      const atMs = this.#clock.monotonicMs() + SETTLED_MS + 1000;
      this.#due.delete(identity);
      this.#due.set(identity, { guest, atMs, unsettled: unsettled + 1 });
      return;
    }
    this.#report(guest, hosts.slice(0, 64));
  }

  #report(guest: WrittenGuest, hosts: string[]): void {
    const identity = identityOf(guest);
    this.#due.delete(identity);
    const { name, uuid } = guest;
    if (hosts.length < 2) {
      if (this.#known.delete(identity))
        this.#log.warn({ guest: name, uuid }, 'only one host claims that guest again');
      return;
    }
    const facts = { guest: name, uuid, hosts };
    this.#log.error(
      facts,
      'SEVERAL HOSTS CLAIM TO RUN ONE GUEST: Godwit does not touch it; check these hosts now',
    );
    if (!this.#known.has(identity)) this.#publish({ type: 'conflict', name, hosts });
    this.#known.add(identity);
    this.#due.set(identity, { guest, atMs: this.#clock.monotonicMs() + AGAIN_MS, unsettled: 0 });
  }
}

export async function claimsOf(
  { db }: Pick<Store, 'db'>,
  guests: readonly WrittenGuest[],
): Promise<Map<string, Claim[]>> {
  const uuids = guests.flatMap(({ uuid }) => (uuid === '' ? [] : [uuid]));
  const names = guests.flatMap(({ uuid, name }) => (uuid === '' ? [name] : []));
  const columns = ['host', 'name', 'uuid', 'state', 'info', 'changed_at'] as const;
  const claims = new Map<string, Claim[]>();
  const add = (rows: readonly Claim[]): void => {
    for (const row of rows) {
      const identity = identityOf(row);
      claims.set(identity, [...(claims.get(identity) ?? []), row]);
    }
  };
  if (uuids.length > 0)
    add(await db.selectFrom('guests').select(columns).where('uuid', 'in', uuids).execute());
  if (names.length > 0) {
    const named = db.selectFrom('guests').select(columns).where('name', 'in', names);
    add(await named.where('uuid', '=', '').execute());
  }
  return claims;
}
