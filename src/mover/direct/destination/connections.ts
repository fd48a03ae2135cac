import { systemClock } from '../../../clock.ts';
import { toGodwitError } from '../../../errors.ts';
import type { DestinationState } from '../../../migration/direct/destination/destination.ts';
import { heardSince, type RestoredConnection } from '../../../network/connections/heard-since.ts';
import type { HandedOver } from '../../../migration/report/verified.ts';
import { keyOf } from '../../../network/connections/entries.ts';
import {
  judgeAddresses,
  ownEntries,
  type AddressJudgement,
  type Surrounding,
} from '../../../network/connections/whose.ts';
import { FEW, readConnections, replaceConnections } from '../../../network/connections/table.ts';
import type {
  Connection,
  ConnectionsAnswer,
  ConnectionsNews,
} from '../../../protocol/peer/connections.ts';
import { Mutex } from '../../../mutex.ts';

/** Maximum entries of one migration; further entries stay until they time out. */
const MAX_REMEMBERED = 16_384;

type Look = (signal: AbortSignal) => Promise<Surrounding>;
type News = ConnectionsNews & { readonly epoch: number };
const UNEXPECTED: ConnectionsAnswer = { put: 0, problem: 'the guest is not expected here' };
const LEFT: ConnectionsAnswer = { put: 0, problem: 'it takes none, as it is configured' };

/** Connections that the source handed over, entered into this host's tracking before the guest runs. */
export class ArrivedConnections {
  readonly #mutex = new Mutex();
  readonly #own = new Map<string, Connection>();
  /** Entries from before that the source has not mentioned. */
  #older: Map<string, Connection> | undefined;
  /** TCP connections that were established at the source's last message. */
  readonly #handed = new Map<string, RestoredConnection>();
  readonly #look: Look | undefined;
  /** Surroundings at the source's first message, before the guest was here. */
  #seen: Surrounding | undefined;
  #addresses: readonly string[] = [];
  #over = false;

  /** `look`: reads the guest's surroundings here; absent: the configuration disables this. */
  constructor(look: Look | undefined) {
    this.#look = look;
  }

  take(news: News, state: () => DestinationState, signal: AbortSignal): Promise<ConnectionsAnswer> {
    return this.#mutex.run(async () => {
      const now = state();
      const wrong = news.epoch !== now.admission.epoch || now.stage !== 'prepared';
      if (wrong || now.right === 'refused' || this.#over) return UNEXPECTED;
      if (this.#look === undefined) return LEFT;
      try {
        this.#seen ??= await this.#look(signal);
        return await this.#take(news, now, this.#seen, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        return { put: 0, problem: toGodwitError(thrown).message.slice(0, 1024) };
      }
    });
  }

  async #take(
    { fresh, gone, complete }: News,
    { preparation, right }: DestinationState,
    around: Surrounding,
    signal: AbortSignal,
  ): Promise<ConnectionsAnswer> {
    const judged = judgeAddresses(preparation?.networks ?? [], around);
    const addresses = [...judged.own];
    this.#addresses = addresses;
    const news = ownEntries(fresh, judged, around);
    for (const entry of news) this.#older?.delete(keyOf(entry));
    this.#keepAccount(news, gone);
    if (right !== 'running') {
      await this.#putBefore(news, gone, addresses, signal);
    } else {
      // Entries made since are newer. Entries from an earlier stay are removed, unless there are too many.
      const past = complete ? [...(this.#older?.values() ?? [])].slice(0, FEW) : [];
      this.#older = undefined;
      await replaceConnections(addresses, past, news, signal);
    }
    return { put: news.length, ...leftOutOf(judged) };
  }

  /**
   * An existing entry may be from the guest's earlier stay, with an outdated window, so the next segment would count
   * as invalid.
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

  verify(signal: AbortSignal): Promise<HandedOver> {
    return this.#mutex.run(async () => {
      if (this.#handed.size === 0) return heardSince(this.#handed, [], 0);
      const { entries } = await readConnections(this.#addresses, signal);
      return heardSince(this.#handed, entries, systemClock.monotonicMs());
    });
  }

  /** Removes the entries if the guest does not come. Never rejects. */
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

function leftOutOf({ refused }: AddressJudgement): Pick<ConnectionsAnswer, 'leftOut'> {
  return refused.length === 0 ? {} : { leftOut: refused.join(', ').slice(0, 1024) };
}
