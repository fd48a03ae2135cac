import { systemClock } from '../../../clock.ts';
import { toGodwitError } from '../../../errors.ts';
import type { DestinationState } from '../../../migration/direct/destination.ts';
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

/** More than one migration may put in: what is beyond stays until it times out. */
const MAX_REMEMBERED = 16_384;

type Look = (signal: AbortSignal) => Promise<Surrounding>;
type News = ConnectionsNews & { readonly epoch: number };
const UNEXPECTED: ConnectionsAnswer = { put: 0, problem: 'the guest is not expected here' };
const LEFT: ConnectionsAnswer = { put: 0, problem: 'it takes none, as it is configured' };

/** Connections of the guest that its source has handed over, put into this host's tracking before the guest runs. */
export class ArrivedConnections {
  readonly #mutex = new Mutex();
  /** Put in by this mover, and not there before. */
  readonly #own = new Map<string, Connection>();
  /** There before, and not heard of from the source. */
  #older: Map<string, Connection> | undefined;
  /** TCP connections that were established when the source last spoke of them. */
  readonly #handed = new Map<string, RestoredConnection>();
  readonly #look: Look | undefined;
  /** What was seen when the source first spoke of connections: before it, the guest was nowhere here. */
  #seen: Surrounding | undefined;
  #addresses: readonly string[] = [];
  #over = false;

  /** `look`: what this host sees round the guest; absent: this host takes no connections, as it is configured. */
  constructor(look: Look | undefined) {
    this.#look = look;
  }

  /** Never rejects for what this host cannot do: the answer says it. */
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
      // What this host has seen of the guest since is newer; what is left of its earlier stay is not, and is taken out
      // as far as that leaves the rest alone.
      const past = complete ? [...(this.#older?.values() ?? [])].slice(0, FEW) : [];
      this.#older = undefined;
      await replaceConnections(addresses, past, news, signal);
    }
    return { put: news.length, ...leftOutOf(judged) };
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

function leftOutOf({ refused }: AddressJudgement): Pick<ConnectionsAnswer, 'leftOut'> {
  return refused.length === 0 ? {} : { leftOut: refused.join(', ').slice(0, 1024) };
}
