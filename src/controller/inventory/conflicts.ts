import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import type { Store } from '../store/store.ts';
import type { Written } from './write-queue.ts';
import { claimants, identityOf, SETTLED_MS, type Claim } from './claims.ts';

/** Identities of one query. */
const AT_ONCE = 500;
/** A conflict that stands is said again. */
const AGAIN_MS = 60_000;

/** Says loudly when several hosts claim to run one guest. Looks at guests that changed, once both hosts had time to report. */
export class Conflicts {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #publish: (news: FleetNews) => void;
  /** Guests to look at, by identity, and when. */
  readonly #due = new Map<string, { readonly guest: Written; readonly atMs: number }>();
  readonly #known = new Set<string>();

  constructor(store: Store, clock: Clock, log: Log, publish: (news: FleetNews) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#publish = publish;
  }

  look(guests: readonly Written[]): void {
    const atMs = this.#clock.monotonicMs() + SETTLED_MS + 1000;
    for (const guest of guests) {
      const identity = identityOf(guest);
      this.#due.delete(identity);
      this.#due.set(identity, { guest, atMs });
    }
  }

  async turn(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const due: Written[] = [];
    for (const [identity, { guest, atMs }] of this.#due) {
      if (due.length >= AT_ONCE || (atMs > nowMs && !this.#known.has(identity))) break;
      if (atMs > nowMs) continue;
      due.push(guest);
    }
    if (due.length === 0) return;
    const claims = await claimsOf(this.#store, due);
    // The moments of claims are the database's.
    const { db, nowMs: storeNow } = this.#store;
    const { now } = await db.selectNoFrom(storeNow.as('now')).executeTakeFirstOrThrow();
    for (const guest of due) {
      const hosts = claimants(claims.get(identityOf(guest)) ?? [], now).slice(0, 64);
      this.#judge(guest, hosts);
    }
  }

  #judge(guest: Written, hosts: string[]): void {
    const identity = identityOf(guest);
    this.#due.delete(identity);
    const { name, uuid } = guest;
    if (hosts.length < 2) {
      if (this.#known.delete(identity))
        this.#log.warn({ guest: name, uuid }, 'one host claims that guest again, as it should be');
      return;
    }
    const facts = { guest: name, uuid, hosts };
    this.#log.error(
      facts,
      'SEVERAL HOSTS CLAIM TO RUN ONE GUEST: nothing touches it; look at once',
    );
    if (!this.#known.has(identity)) this.#publish({ type: 'conflict', name, hosts });
    this.#known.add(identity);
    this.#due.set(identity, { guest, atMs: this.#clock.monotonicMs() + AGAIN_MS });
  }
}

/** What all hosts say of these guests, by identity. */
export async function claimsOf(
  { db }: Pick<Store, 'db'>,
  guests: readonly Written[],
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
