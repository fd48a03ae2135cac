import { toGodwitError, type GodwitError } from '../../errors.ts';
import { EventLog } from '../../rpc/event-log.ts';
import type { Log } from '../../log.ts';
import type { HostEvent, HostNews } from '../../protocol/public/hosts/host-event.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';
import { departureOf } from '../guest-moves.ts';
import type { Load } from './load.ts';
import type { MigrationStore } from '../migrations/store.ts';

/** Kept for followers that reconnect; a busy host makes a few events of about 1 KiB a second. */
const KEPT = { events: 1000, bytes: 8 * 1024 * 1024 };
const TICK_MS = 1000;

/** Events of this host in order. A follower resumes by an event's id. */
export class HostEvents {
  readonly #log = new EventLog<HostNews>(KEPT);
  #timer: NodeJS.Timeout | undefined;
  #store: MigrationStore | undefined;
  readonly #phases = new Map<string, string>();
  #silence: string | undefined;

  /** Migrations that ended before the start are not reported. */
  start(store: MigrationStore, log: Log): void {
    this.#store = store;
    for (const { id } of store.all()) this.#phases.set(id, store.progress(id).phase);
    this.#timer = setInterval(() => {
      try {
        this.#lookAt(store);
      } catch (thrown) {
        log.warn({ error: toGodwitError(thrown) }, 'progress of migrations not reported');
      }
    }, TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  add(news: HostNews): void {
    this.#log.add(news);
  }

  /**
   * Two guests may share a name, and `guest-gone` has only the name, so guests that still have it are reported again.
   */
  compare(
    before: readonly GuestInfo[],
    now: readonly GuestInfo[],
    departure = (guest: string): GuestInfo | undefined =>
      this.#store === undefined ? undefined : departureOf(this.#store, guest),
  ): void {
    const known = new Map(before.map((guest) => [keyOf(guest), JSON.stringify(guest)]));
    const there = new Set(now.map(keyOf));
    const gone = before.filter((guest) => !there.has(keyOf(guest)));
    const names = new Set(gone.map(({ name }) => name));
    for (const name of names) {
      // The copy of a failed move is removed as well, and its guest has not left.
      const guest = gone.find((each) => each.name === name && each.state !== 'incoming');
      const left = guest === undefined ? undefined : departure(name);
      const uuid = left?.uuid ?? guest?.uuid;
      this.add({ type: 'guest-gone', name, ...(left && { left: { ...left, uuid } }) });
    }
    for (const guest of now) {
      const isAsBefore = known.get(keyOf(guest)) === JSON.stringify(guest);
      if (!isAsBefore || names.has(guest.name)) this.add({ type: 'guest', guest });
    }
  }

  compareHosts(before: readonly ManagedHost[], now: readonly ManagedHost[]): void {
    const known = new Map(before.map((host) => [host.name, JSON.stringify(host)]));
    const there = new Set(now.map(({ name }) => name));
    for (const { name } of before)
      if (!there.has(name)) this.add({ type: 'managed-host-gone', name });
    for (const host of now)
      if (known.get(host.name) !== JSON.stringify(host)) this.add({ type: 'managed-host', host });
  }

  manager(silence: GodwitError | undefined): void {
    const reason = silence?.message.slice(0, 1000);
    if (reason === this.#silence) return;
    this.#silence = reason;
    this.add(
      reason === undefined
        ? { type: 'manager', state: 'up' }
        : { type: 'manager', state: 'silent', reason },
    );
  }

  follow(lastId: string | undefined, signal: AbortSignal): AsyncGenerator<HostEvent> {
    return this.#log.follow(lastId, signal);
  }

  async *followWithLoad(
    lastId: string | undefined,
    signal: AbortSignal,
    load: Load,
  ): AsyncGenerator<HostEvent> {
    const feed = load.follow();
    const newest = (): HostNews | undefined => {
      const sample = feed.newest();
      return sample === undefined ? undefined : { type: 'load', load: sample };
    };
    try {
      yield* this.#log.follow(lastId, signal, { ...feed, newest });
    } finally {
      feed.release();
    }
  }

  #lookAt(store: MigrationStore): void {
    const all = store.all();
    for (const { id } of all) {
      const migration = store.progress(id);
      if (this.#phases.get(id) === migration.phase) continue;
      this.#phases.set(id, migration.phase);
      this.add({ type: 'migration', migration });
    }
    if (this.#phases.size <= all.length) return;
    const there = new Set(all.map(({ id }) => id));
    for (const id of this.#phases.keys()) if (!there.has(id)) this.#phases.delete(id);
  }
}

function keyOf({ name, uuid = '' }: GuestInfo): string {
  return `${name} ${uuid}`;
}
