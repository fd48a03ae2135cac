import type { Clock } from '../../clock.ts';
import { hasCode } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { GuestSize, WishAsk } from '../../protocol/controller/wish.ts';
import type { PlanAnswer } from '../../protocol/public/plan.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import type { Api } from '../../rpc/client.ts';
import { sizeOf } from '../wishes/guest-size.ts';
import type { SizedGuest } from '../wishes/guest-size.ts';
import type { AgentClients } from './agent-clients.ts';
import type { GuestSizes } from './ports.ts';

/** Guests of one host that are measured at a time: it reads their memory. */
const AT_ONCE = 2;
/** Before a host is asked again that has as many checks as it takes. */
const BUSY_MS = 500;
/** Of one guest; it is looked at for 3 s, and the line once for 1.2 s. */
const GUEST_MS = 30_000;
/** How long one host has for the line of all. */
const LINE_MS = 12_000;
/** Of all guests of a request: those that are not measured by then count with all of their memory. */
const ALL_MS = 60_000;
/** A plan that is looked at and then asked for is the same one. */
const KEPT_MS = 600_000;
/** Hosts that are asked in turn until one of them has measured the line between the sites. */
const MOST_TURNS = 3;
/** The longest that a migration may be asked to take: over a thin line a large guest takes hours. */
const MOST_TIMEOUT_MS = 86_400_000;
const MOST_KEPT = 20_000;

export interface GuestSizesDependencies {
  readonly clients: Pick<AgentClients, 'at'>;
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
}

interface Asked {
  readonly ask: WishAsk;
  /** What another host measured of the line. */
  readonly link: LinkMeasure | undefined;
  readonly signal: AbortSignal;
}

interface Kept {
  readonly size: GuestSize;
  readonly atMs: number;
}

/** Asks each guest's own host what its move would send, and keeps the answers for as long as a plan is good for. */
export class AskedSizes implements GuestSizes {
  readonly #deps: GuestSizesDependencies;
  readonly #kept = new Map<string, Kept>();

  constructor(deps: GuestSizesDependencies) {
    this.#deps = deps;
  }

  async of(guests: readonly SizedGuest[], ask: WishAsk): Promise<Record<string, GuestSize>> {
    const signal = AbortSignal.timeout(ALL_MS);
    const hosts = Map.groupBy(
      guests.filter((each) => this.#known(each, ask) === undefined),
      ({ from }) => from,
    );
    const asked = { ask, link: await this.#line([...hosts.values()], ask, signal), signal };
    const works = [...hosts.values()].flatMap((waiting) =>
      Array.from({ length: AT_ONCE }, () => this.#measure(waiting, asked)),
    );
    await Promise.all(works);
    return Object.fromEntries(
      guests.flatMap((each) => {
        const size = this.#known(each, ask);
        return size === undefined ? [] : [[each.guest, size]];
      }),
    );
  }

  #known(asked: SizedGuest, ask: WishAsk): GuestSize | undefined {
    const kept = this.#kept.get(keyOf(asked, ask));
    if (kept === undefined) return undefined;
    return this.#deps.clock.monotonicMs() - kept.atMs < KEPT_MS ? kept.size : undefined;
  }

  /** The line between the sites, measured by one host for all: hosts that measure it at once each see a part of it. */
  async #line(
    hosts: readonly SizedGuest[][],
    ask: WishAsk,
    signal: AbortSignal,
  ): Promise<LinkMeasure | undefined> {
    // A host that is alone measures it once for all of its guests.
    if (hosts.length < 2) return undefined;
    for (const waiting of hosts.slice(0, MOST_TURNS)) {
      const next = waiting.shift();
      if (next === undefined || signal.aborted) continue;
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(LINE_MS)]);
      const answer = await this.#plan(next, { ask, link: undefined, signal: inTime });
      // A host that did not answer in this time may do so in its own.
      if (answer === 'busy' || (answer === undefined && inTime.aborted)) waiting.push(next);
      else if (answer?.link?.how === 'measured' && answer.link.rate > 0) return answer.link;
    }
    return undefined;
  }

  /** Takes from `waiting` until nothing is left there. A guest that cannot be measured has no size. */
  async #measure(waiting: SizedGuest[], asked: Asked): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (asked.signal.aborted) return;
      if ((await this.#plan(next, asked)) !== 'busy') continue;
      // Others check guests there, or an answer came before its process was gone.
      waiting.push(next);
      await this.#deps.clock.sleep(BUSY_MS, asked.signal).catch(() => {});
    }
  }

  /** Keeps the size that its host answers with. */
  async #plan(next: SizedGuest, asked: Asked): Promise<PlanAnswer | 'busy' | undefined> {
    const api = this.#deps.clients.at(next.from);
    if (api === undefined) return undefined;
    try {
      const answer = await planned(api, next, asked);
      const size = sizeOf(answer);
      if (size !== undefined) this.#keep(keyOf(next, asked.ask), size);
      return answer;
    } catch (thrown) {
      return hasCode(thrown, 'GODWIT_OVERLOADED') ? 'busy' : undefined;
    }
  }

  #keep(key: string, size: GuestSize): void {
    this.#kept.delete(key);
    this.#kept.set(key, { size, atMs: this.#deps.clock.monotonicMs() });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }
}

function planned(
  api: Api<typeof agentContract>,
  { guest, to }: SizedGuest,
  { ask: { settings }, link, signal }: Asked,
): Promise<PlanAnswer> {
  const asked = { mode: 'precopy', timeoutMs: MOST_TIMEOUT_MS, compare: true } as const;
  const body = { ...settings, ...asked, guest, to, ...(link === undefined ? {} : { link }) };
  return api.plan({ body }, { deadlineMs: GUEST_MS, signal });
}

const keyOf = ({ guest, from, to }: SizedGuest, { settings }: WishAsk): string =>
  `${from} ${to} ${guest} ${JSON.stringify(settings)}`;
