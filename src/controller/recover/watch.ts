import { createHash } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { Poller } from '../../poller.ts';
import type { agentContract } from '../../protocol/contract.ts';
import { newWish, wishAsk, type Wish } from '../../protocol/controller/wish.ts';
import type { Api } from '../../rpc/client.ts';
import type { ControllerConfig } from '../config.ts';
import type { Held } from '../inventory/leases.ts';
import { shardOf } from '../inventory/shards.ts';
import type { Store } from '../store/store.ts';
import {
  askedStandbys,
  coveredGuests,
  forgetStandbys,
  forgetStandbysOf,
  hostsNow,
  writeStandby,
  type AskedStandby,
  type Covered,
  type HostNow,
} from '../store/standbys.ts';

/** Hosts that each guest is kept by. */
const WANTED = 2;
/** What is kept is asked for again: the guest may have changed. */
const FRESH_MS = 3_600_000;
/** A host that refused is asked again then. */
const AGAIN_MS = 600_000;
const LOOK_MS = 15_000;
/** The agent makes every check of a cold move. */
const ANSWER_MS = 110_000;
/** Guests that are seen to in one look, and at once: each check takes hold of a monitor. */
const MAX_PER_LOOK = 64;
const AT_ONCE = 4;

export interface RecoverWatchDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: ControllerConfig['recover'];
  readonly held: () => Held;
  readonly agentAt: (host: string) => Pick<Api<typeof agentContract>, 'putStandby'> | undefined;
  readonly add: (wish: Wish) => Promise<void>;
}

/**
 * Sees to it that guests with the label godwit/recover can be started elsewhere should their host die, as long as it
 * lives; and asks for that, where the policy says so, once a host is silent for long. It proves nothing: who starts a guest
 * does.
 */
export class RecoverWatch {
  readonly #deps: RecoverWatchDependencies;
  readonly #looks: Poller;
  /** By host: the wish that was asked for last. */
  readonly #wished = new Map<string, string>();

  constructor(deps: RecoverWatchDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
  }

  start(): void {
    this.#looks.start(LOOK_MS, () => this.look(), 'standbys of guests were not seen to');
  }

  async close(): Promise<void> {
    await this.#looks.close();
  }

  /** Looks at each guest, and at each host that is silent, once. */
  async look(): Promise<void> {
    const { store } = this.#deps;
    const covered = await coveredGuests(store);
    const asked = await askedStandbys(store);
    if (covered.length + asked.length === 0) return;
    const hosts = await hostsNow(store);
    const up = hosts.flatMap(({ host, state }) => (state === 'up' ? [host] : []));
    const answering = new Set(up);
    const isMine = (host: string): boolean => this.#deps.held().has(shardOf(host));
    const isUp = (host: string): boolean => answering.has(host);
    await this.#askForDead(hosts, covered, isMine);
    const known = new Set(covered.map(keyOf));
    const gone = asked.filter((each) => isUp(each.host) && !known.has(keyOf(each)));
    for (const each of gone.filter(({ host }) => isMine(host))) await forgetStandbys(store, each);
    const members = new Set(hosts.map(({ host }) => host));
    const named = new Set(asked.flatMap(({ host, to }) => [host, to]));
    for (const host of named)
      if (!members.has(host) && isMine(host)) await forgetStandbysOf(store, host);
    const due = covered
      .filter(({ host }) => isMine(host) && isUp(host))
      .flatMap((each) => nextFor(each, asked, up) ?? [])
      .slice(0, MAX_PER_LOOK);
    const work = async (): Promise<void> => {
      for (let next = due.shift(); next !== undefined; next = due.shift()) await this.#keep(next);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async #keep({ host, guest, to }: Omit<AskedStandby, 'ageMs' | 'words'>): Promise<void> {
    const { agentAt, store, log } = this.#deps;
    const { signal } = this.#looks;
    if (signal.aborted) return;
    const words = await ask(agentAt(host), { guest, to, signal });
    if (signal.aborted) return;
    if (words !== undefined) log.warn({ host, guest, to, words }, 'no standby of a guest');
    await writeStandby(store, { host, guest, to, words });
  }

  /** One wish for each time that a host has fallen silent: asked for again it is the same. */
  async #askForDead(
    hosts: readonly HostNow[],
    covered: readonly Covered[],
    isMine: (host: string) => boolean,
  ): Promise<void> {
    const { policy, add, log } = this.#deps;
    if (policy.policy === 'off') return;
    const withGuests = new Set(covered.map(({ host }) => host));
    for (const { host, state, sinceMs, nowMs } of hosts) {
      if (state !== 'silent') continue;
      if (!withGuests.has(host) || !isMine(host) || nowMs - sinceMs < policy.silentMs) continue;
      const id = idOf(host, sinceMs);
      if (this.#wished.get(host) === id) continue;
      const ask = wishAsk.parse({ kind: 'recover', hosts: [host] });
      const wish = newWish(id, ask, { nowMs, by: 'the policy' });
      try {
        await add(wish);
        this.#wished.set(host, id);
        log.warn(
          { host, wish: wish.id },
          'a host is silent: its guests are to be started elsewhere',
        );
      } catch (thrown) {
        // A person asked for it, and that is open.
        log.debug({ host, error: toGodwitError(thrown) }, 'a recovery was not asked for');
      }
    }
  }
}

async function ask(
  api: Pick<Api<typeof agentContract>, 'putStandby'> | undefined,
  { guest, to, signal }: { guest: string; to: string; signal: AbortSignal },
): Promise<string | undefined> {
  if (api === undefined) return 'its host is no member of the fleet';
  try {
    await api.putStandby({ params: { guest }, body: { to } }, { deadlineMs: ANSWER_MS, signal });
    return undefined;
  } catch (thrown) {
    return toGodwitError(thrown).message;
  }
}

const keyOf = ({ host, guest }: Covered): string => `${host} ${guest}`;

/** The next host to ask about that guest; undefined while enough keep it, or none is left to be asked now. */
function nextFor(
  { host, guest }: Covered,
  asked: readonly AskedStandby[],
  up: readonly string[],
): Omit<AskedStandby, 'ageMs' | 'words'> | undefined {
  const own = asked.filter((each) => each.host === host && each.guest === guest);
  const isFresh = ({ words, ageMs }: AskedStandby): boolean =>
    words === undefined && ageMs < FRESH_MS;
  if (own.filter((each) => isFresh(each) && up.includes(each.to)).length >= WANTED)
    return undefined;
  const at = new Map(own.map((each) => [each.to, each]));
  const isDue = (to: string): boolean => {
    const before = at.get(to);
    if (before === undefined) return true;
    return before.words === undefined ? before.ageMs >= FRESH_MS : before.ageMs >= AGAIN_MS;
  };
  // Those that kept it before first; else spread over the fleet, for each guest in an order of its own.
  const rank = (to: string): string =>
    `${at.get(to)?.words === undefined && at.has(to) ? 0 : 1}${hash(`${host} ${guest} ${to}`)}`;
  const [to] = up
    .filter((each) => each !== host && isDue(each))
    .toSorted((one, other) => (rank(one) < rank(other) ? -1 : 1));
  return to === undefined ? undefined : { host, guest, to };
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const idOf = (host: string, sinceMs: number): string =>
  `w-${hash(`recover ${host} ${sinceMs}`).slice(0, 16)}`;
