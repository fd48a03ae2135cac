import { randomBytes } from 'node:crypto';
import { toGodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { HostEvent, HostNews } from '../protocol/public/host-event.ts';
import type { GuestInfo } from '../protocol/public/host.ts';
import type { MigrationStore } from './store.ts';

/** So many are kept for who comes back; a busy host makes a few a second. */
const KEPT = 1000;
/** Between two looks at where the migrations stand. */
const TICK_MS = 1000;

/**
 * What happens on this host, in order, each with an id by which whoever follows comes back. The ids of another run of the
 * agent, or of what is kept no more, are answered with `lost`: then lists tell where things stand.
 */
export class HostEvents {
  readonly #run = randomBytes(6).toString('hex');
  readonly #kept: HostEvent[] = [];
  #count = 0;
  #changed = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  readonly #phases = new Map<string, string>();

  /** Begins to tell what becomes of migrations; those that have ended before are no news. */
  start(store: MigrationStore, log: Log): void {
    for (const { id } of store.all()) this.#phases.set(id, store.progress(id).phase);
    this.#timer = setInterval(() => {
      try {
        this.#lookAt(store);
      } catch (thrown) {
        log.warn({ error: toGodwitError(thrown) }, 'what migrations do was not reported');
      }
    }, TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  add(news: HostNews): void {
    this.#count += 1;
    this.#kept.push({ id: this.#idOf(this.#count), ...news });
    if (this.#kept.length > KEPT) this.#kept.shift();
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** What differs between two looks at the guests. */
  compare(before: readonly GuestInfo[], now: readonly GuestInfo[]): void {
    const known = new Map(before.map((guest) => [guest.name, JSON.stringify(guest)]));
    for (const guest of now) {
      if (known.get(guest.name) !== JSON.stringify(guest)) this.add({ type: 'guest', guest });
      known.delete(guest.name);
    }
    for (const name of known.keys()) this.add({ type: 'guest-gone', name });
  }

  /** From now on, or from behind `lastId`; a reader that falls behind what is kept is told that it has lost some. */
  async *follow(lastId: string | undefined, signal: AbortSignal): AsyncGenerator<HostEvent> {
    let at = lastId === undefined ? this.#count : this.#countAt(lastId);
    if (lastId === undefined) yield { id: this.#idOf(this.#count), type: 'ready' };
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      const first = this.#count - this.#kept.length;
      if (at === undefined || at < first) {
        at = this.#count;
        yield { id: this.#idOf(at), type: 'lost' };
        continue;
      }
      const next = this.#kept[at - first];
      if (next === undefined) await firstOf(changed, signal);
      else {
        at += 1;
        yield next;
      }
    }
  }

  #idOf(count: number): string {
    return `${this.#run}-${count}`;
  }

  #countAt(id: string): number | undefined {
    const [, run, count] = /^([0-9a-f]{12})-(\d{1,15})$/.exec(id) ?? [];
    return run === this.#run && Number(count) <= this.#count ? Number(count) : undefined;
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

/** Resolves with the promise or when the signal aborts; leaves nothing on the signal, which may live for days. */
function firstOf(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      signal.removeEventListener('abort', go);
      resolve();
    };
    signal.addEventListener('abort', go, { once: true });
    if (signal.aborted) go();
    else void promise.then(go, go);
  });
}
