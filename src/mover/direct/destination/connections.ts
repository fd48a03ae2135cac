import { systemClock } from '../../../clock.ts';
import { toGodwitError } from '../../../errors.ts';
import type { DestinationState } from '../../../migration/direct/destination.ts';
import { heardSince, type Handed } from '../../../network/connections/heard-since.ts';
import type { HandedOver } from '../../../migration/report/verified.ts';
import { concerns, keyOf } from '../../../network/connections/entries.ts';
import { FEW, readConnections, replaceConnections } from '../../../network/connections/table.ts';
import type {
  Connection,
  ConnectionsAnswer,
  ConnectionsNews,
} from '../../../protocol/peer/connections.ts';
import { Mutex } from '../../../mutex.ts';

/** More than one migration may put in: what is beyond stays until it times out. */
const MAX_REMEMBERED = 16_384;

type News = ConnectionsNews & { readonly epoch: number };
const UNEXPECTED: ConnectionsAnswer = { put: 0, problem: 'the guest is not expected here' };

/** Connections of the guest that its source has handed over, put into this host's tracking before the guest runs. */
export class ArrivedConnections {
  readonly #mutex = new Mutex();
  /** Put in by this mover, and not there before. */
  readonly #own = new Map<string, Connection>();
  /** There before, and not heard of from the source. */
  #older: Map<string, Connection> | undefined;
  /** TCP connections that were established when the source last spoke of them. */
  readonly #handed = new Map<string, Handed>();
  #addresses: readonly string[] = [];
  #over = false;

  /** Never rejects for what this host cannot do: the answer says it. */
  take(news: News, state: () => DestinationState, signal: AbortSignal): Promise<ConnectionsAnswer> {
    return this.#mutex.run(async () => {
      const now = state();
      const wrong = news.epoch !== now.admission.epoch || now.stage !== 'prepared';
      if (wrong || now.right === 'refused' || this.#over) return UNEXPECTED;
      try {
        return await this.#take(news, now, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        return { put: 0, problem: toGodwitError(thrown).message.slice(0, 1024) };
      }
    });
  }

  async #take(
    { fresh, gone, complete }: News,
    { preparation, right }: DestinationState,
    signal: AbortSignal,
  ): Promise<ConnectionsAnswer> {
    const addresses = (preparation?.networks ?? []).flatMap((nic) => nic.addresses);
    const known = new Set(addresses);
    this.#addresses = addresses;
    // A peer may only speak for its own guest.
    const news = fresh.filter((entry) => concerns(entry, known));
    for (const entry of news) this.#older?.delete(keyOf(entry));
    this.#keepAccount(news, gone);
    if (right !== 'running') {
      await this.#putBefore(news, gone, addresses, signal);
    } else {
      // What this host has seen of the guest since is newer; what is left of its earlier stay is not, and is taken out
      // as far as that leaves the rest alone.
      const past = complete ? [...(this.#older?.values() ?? [])].slice(0, FEW) : [];
      this.#older = undefined;
      await replaceConnections(addresses, past, news, signal);
    }
    return { put: news.length };
  }

  /**
   * An entry that is there already may be left from when the guest was here last: its window is of then, and the guest's
   * next segment would be none that it could have sent.
   */
  async #putBefore(
    fresh: readonly Connection[],
    gone: readonly Connection[],
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const there = new Map<string, Connection>();
    for (const entry of (await readConnections(addresses, signal)).entries)
      there.set(keyOf(entry), entry);
    this.#older ??= new Map(there);
    const over = gone.filter((entry) => this.#own.delete(keyOf(entry)));
    for (const entry of fresh) {
      const key = keyOf(entry);
      this.#older.delete(key);
      if (!there.has(key) && this.#own.size < MAX_REMEMBERED) this.#own.set(key, entry);
    }
    const stale = fresh.filter((entry) => there.has(keyOf(entry)));
    await replaceConnections(addresses, [...over, ...stale], fresh, signal);
  }

  #keepAccount(fresh: readonly Connection[], gone: readonly Connection[]): void {
    const putAtMs = systemClock.monotonicMs();
    for (const entry of gone) this.#handed.delete(keyOf(entry));
    for (const entry of fresh) {
      const key = keyOf(entry);
      this.#handed.delete(key);
      const isOpen = entry.protocol === 'tcp' && entry.state === 'ESTABLISHED';
      if (isOpen && this.#handed.size < MAX_REMEMBERED)
        this.#handed.set(key, { timeoutS: entry.timeoutS, putAtMs });
    }
  }

  /** The guest runs here: what has become of its TCP connections. */
  verify(signal: AbortSignal): Promise<HandedOver> {
    return this.#mutex.run(async () => {
      if (this.#handed.size === 0) return heardSince(this.#handed, [], 0);
      const { entries } = await readConnections(this.#addresses, signal);
      return heardSince(this.#handed, entries, systemClock.monotonicMs());
    });
  }

  /** The guest does not come: nothing is left of what was put in. Never rejects. */
  forget(signal: AbortSignal): Promise<void> {
    return this.#mutex.run(async () => {
      this.#over = true;
      const own = [...this.#own.values()];
      this.#own.clear();
      if (own.length === 0) return;
      await replaceConnections(this.#addresses, own, [], signal).catch(() => undefined);
    });
  }
}
