import { godwitError, type GodwitError } from '../errors.ts';
import type { Identity } from './identity.ts';
import type { ShareLimit, Circle, RpcLimits, Share } from './limits.ts';

/** What a request holds of its caller's share until it is released. */
export interface Hold {
  /** Counts further bytes of its body; GODWIT_OVERLOADED when the share has no room for them. */
  readonly take: (bytes: number) => void;
  /** May be repeated. */
  readonly release: () => void;
}

interface Waiter {
  readonly begin: () => void;
}

/** What is under way of one identity, or of all of a circle. */
interface Use {
  requests: number;
  waiting: number;
  streams: number;
  bodyBytes: number;
}

type CountedResource = keyof Use;

interface Member extends Use {
  readonly queue: Set<Waiter>;
}

interface CircleUse extends Use {
  /** Who has something under way or waits, in the order of their turns. Nobody else is remembered. */
  readonly members: Map<string, Member>;
}

const unused = (): Use => ({ requests: 0, waiting: 0, streams: 0, bodyBytes: 0 });

const WORDS: Readonly<Record<CountedResource, string>> = {
  requests: 'requests at once',
  waiting: 'requests that wait',
  streams: 'streams at once',
  bodyBytes: 'bytes of request bodies at once',
};

/**
 * Divides a server between those who ask. Each identity has a share; each circle of them has room for several full ones,
 * and no circle takes the room of another. A request beyond the share waits, a bounded number for a bounded time; where
 * a whole circle is busy, its members take turns.
 */
export class Shares {
  readonly #limits: Pick<RpcLimits, 'shares' | 'waitMs'>;
  readonly #circles = new Map<Circle, CircleUse>();

  constructor(limits: Pick<RpcLimits, 'shares' | 'waitMs'>) {
    this.#limits = limits;
  }

  /** Resolves when it is this request's turn; GODWIT_OVERLOADED when too many wait, or it waited for too long. */
  async request(who: Identity, signal: AbortSignal): Promise<Hold> {
    signal.throwIfAborted();
    if (!this.#hasRoom(who, 'requests')) await this.#turn(who, signal);
    else this.#add(who, 'requests', 1);
    return this.#hold(who, 'requests');
  }

  /** A stream does not wait: whoever follows as much as it may has to stop following something. */
  stream(who: Identity): Hold {
    this.#check(who, 'streams', 1);
    this.#add(who, 'streams', 1);
    return this.#hold(who, 'streams');
  }

  /** Of how many identities something is kept. */
  get size(): number {
    return [...this.#circles.values()].reduce((sum, { members }) => sum + members.size, 0);
  }

  #hold(who: Identity, what: 'requests' | 'streams'): Hold {
    let held = 0;
    let released = false;
    return {
      take: (bytes) => {
        if (released) return;
        this.#check(who, 'bodyBytes', bytes);
        this.#add(who, 'bodyBytes', bytes);
        held += bytes;
      },
      release: () => {
        if (released) return;
        released = true;
        this.#add(who, 'bodyBytes', -held);
        this.#add(who, what, -1);
        this.#tidy(who);
        this.#next(who.circle);
      },
    };
  }

  async #turn(who: Identity, signal: AbortSignal): Promise<void> {
    this.#check(who, 'waiting', 1);
    this.#add(who, 'waiting', 1);
    const { queue } = this.#member(who);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { begin: resolve };
    queue.add(waiter);
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const late = setTimeout(() => reject(this.#full(who, 'requests', 'each')), this.#limits.waitMs);
    try {
      await promise;
    } catch (thrown) {
      // A waiter that is no longer in the queue never begins.
      queue.delete(waiter);
      throw thrown;
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', onAbort);
      this.#add(who, 'waiting', -1);
      this.#tidy(who);
    }
  }

  /** Lets those begin who wait and have room, each in its turn: who has begun goes behind the others. */
  #next(circle: Circle): void {
    const use = this.#circle(circle);
    const { requests } = this.#share(circle);
    for (const [key, member] of Array.from(use.members)) {
      if (use.requests >= requests.all) return;
      const [first] = member.queue;
      if (first === undefined || member.requests >= requests.each) continue;
      member.queue.delete(first);
      use.members.delete(key);
      use.members.set(key, member);
      member.requests += 1;
      use.requests += 1;
      first.begin();
    }
  }

  /** One who comes now does not overtake those who wait. */
  #hasRoom(who: Identity, what: CountedResource): boolean {
    const use = this.#circle(who.circle);
    const own = use.members.get(who.key);
    const bound = this.#share(who.circle)[what];
    return (own?.queue.size ?? 0) === 0 && (own?.[what] ?? 0) < bound.each && use[what] < bound.all;
  }

  #check(who: Identity, what: CountedResource, more: number): void {
    const use = this.#circle(who.circle);
    const bound = this.#share(who.circle)[what];
    if ((use.members.get(who.key)?.[what] ?? 0) + more > bound.each)
      throw this.#full(who, what, 'each');
    if (use[what] + more > bound.all) throw this.#full(who, what, 'all');
  }

  #full(who: Identity, what: CountedResource, of: keyof ShareLimit): GodwitError {
    const limit = this.#share(who.circle)[what][of];
    const whose = of === 'each' ? who.label : `${who.label} and the others of its kind`;
    const hint =
      'Wait for some of them to end and try again; docs/limits.md says what each may have at once.';
    return godwitError(
      'GODWIT_OVERLOADED',
      { what: `${whose}, in ${WORDS[what]},`, limit },
      { hint },
    );
  }

  #add(who: Identity, what: CountedResource, more: number): void {
    this.#member(who)[what] += more;
    this.#circle(who.circle)[what] += more;
  }

  #tidy({ circle, key }: Identity): void {
    const { members } = this.#circle(circle);
    const member = members.get(key);
    if (member === undefined || member.queue.size > 0) return;
    if (member.requests + member.waiting + member.streams + member.bodyBytes === 0)
      members.delete(key);
  }

  #member({ circle, key }: Identity): Member {
    const { members } = this.#circle(circle);
    let found = members.get(key);
    if (found === undefined) {
      found = { ...unused(), queue: new Set() };
      members.set(key, found);
    }
    return found;
  }

  #circle(circle: Circle): CircleUse {
    let found = this.#circles.get(circle);
    if (found === undefined) {
      found = { ...unused(), members: new Map() };
      this.#circles.set(circle, found);
    }
    return found;
  }

  #share(circle: Circle): Share {
    return this.#limits.shares[circle];
  }
}
