import { everyGuestOfPeer, GUESTS_BYTES } from '../../agent/guests/peer-guests.ts';
import type { Clock } from '../../clock.ts';
import { godwitError, hasCode, toGodwitError } from '../../errors.ts';
import type { PeerAddress } from '../../host/fleet.ts';
import { agentContract } from '../../protocol/contract.ts';
import type { HostState } from '../../protocol/controller/fleet.ts';
import type { HostEvent } from '../../protocol/public/hosts/host-event.ts';
import type { GuestInfo, HostInfo } from '../../protocol/public/hosts/host.ts';
import type { Contract } from '../../protocol/route.ts';
import { rendezvousOf } from '../../protocol/relay.ts';
import { client, type CallOptions, type Client } from '../../rpc/client.ts';
import type { Credentials } from '../../rpc/tls.ts';
import { EVENT_READS, ReadBudget } from './read-budget.ts';
import type { Pacing } from './turns.ts';

/** A host sends a heartbeat every 5 s. */
export const SILENT_MS = 15_000;
const ANSWER_MS = 20_000;
const CONNECT_MS = 10_000;
const RETRY = { firstMs: 1000, mostMs: 15_000 };
/** Facts about a host change rarely, and samples have many of them. */
const REFRESH_MS = 30 * 60_000;

const MAX_LIST_BYTES = 4 * 1024 * 1024 + GUESTS_BYTES;
const EVENT_BYTES = 1024;
/** Longest pause for a host over its budget; a host counts as silent after a much longer one. */
const MAX_PACE_MS = 5000;

/** Each of thousands of hosts keeps a client; one with all routes would take 16 KiB. */
const STREAM = { hostEvents: agentContract.hostEvents };
const LISTS = { host: agentContract.host, guests: agentContract.guests };

const HAD_FAILED: ReadonlySet<HostState> = new Set(['silent', 'untrusted', 'incompatible']);

export interface FollowerListener {
  readonly row: { readonly state: HostState };
  /** A stream begins, with everything the host has. */
  all(info: HostInfo, guests: readonly GuestInfo[], left?: readonly GuestInfo[]): void;
  info(info: HostInfo): void;
  event(event: HostEvent): void;
  exceeds(isExceeded: boolean): void;
  /** The host cannot be followed now. `lastMs`: wall-clock time of its last word to this follower. */
  lost(state: HostState, reason: string, lastMs: number | undefined): void;
}

type Asking = Required<Pick<CallOptions, 'signal' | 'deadlineMs' | 'allowance'>>;

export interface FollowerDependencies extends Pacing {
  readonly credentials: Credentials;
  readonly clock: Clock;
}

export class Follower {
  readonly #name: string;
  readonly #place: () => PeerAddress | undefined;
  readonly #deps: FollowerDependencies;
  readonly #heard: FollowerListener;
  readonly #end = new AbortController();
  readonly #ended: Promise<void>;
  readonly #budget: ReadBudget;
  #lastMs: number | undefined;
  #hasFailed: boolean;

  constructor(
    name: string,
    place: () => PeerAddress | undefined,
    deps: FollowerDependencies,
    heard: FollowerListener,
  ) {
    this.#name = name;
    this.#hasFailed = HAD_FAILED.has(heard.row.state);
    this.#place = place;
    this.#deps = deps;
    this.#heard = heard;
    this.#budget = new ReadBudget(EVENT_READS, deps.clock.monotonicMs());
    this.#ended = this.#run();
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    const { clock } = this.#deps;
    let waitMs = RETRY.firstMs;
    for (let tried = 0; !signal.aborted; tried += 1) {
      const before = this.#lastMs;
      try {
        await this.#follow(tried);
      } catch (thrown) {
        if (signal.aborted) return;
        const { state, reason } = judged(thrown);
        this.#hasFailed = true;
        this.#heard.lost(state, reason, this.#lastMs);
      }
      if (signal.aborted) return;
      waitMs = this.#lastMs === before ? Math.min(2 * waitMs, RETRY.mostMs) : RETRY.firstMs;
      // Random pauses keep thousands of lost hosts from reconnecting together.
      const apartMs = waitMs * (0.5 + Math.random());
      const budgetMs = this.#budget.waitMs(clock.monotonicMs());
      await clock.sleep(Math.max(apartMs, budgetMs), signal).catch(() => {});
    }
  }

  #took(bytes: number): void {
    const nowMs = this.#deps.clock.monotonicMs();
    this.#budget.take(bytes, nowMs);
    this.#heard.exceeds(this.#budget.isExceeded(nowMs));
  }

  #paced(bytes: number): Promise<void> | undefined {
    this.#took(bytes);
    const { clock } = this.#deps;
    const waitMs = Math.min(MAX_PACE_MS, this.#budget.waitMs(clock.monotonicMs()));
    return waitMs === 0 ? undefined : clock.sleep(waitMs, this.#end.signal);
  }

  async #follow(tried: number): Promise<void> {
    const { signal } = this.#end;
    const place = this.#place();
    if (place === undefined) return;
    const all = [place.address, ...place.addresses];
    const address = all[tried % all.length] ?? place.address;
    await this.#knock(address);
    const streaming = this.#client(STREAM, address);
    try {
      const query = { load: 'true' } as const;
      const pace = (bytes: number) => this.#paced(bytes);
      const options = { signal, deadlineMs: ANSWER_MS, pace };
      const stream = streaming.api.hostEvents({ query }, options);
      const events = stream[Symbol.asyncIterator]();
      // Both in one turn: an unread stream would count as silent while its lists wait for a turn.
      await this.#deps.turn(async () => {
        const first = await events.next();
        if (first.done !== true) await this.#lists(address);
      }, this.#hasFailed);
      this.#hasFailed = false;
      this.#lastMs = this.#deps.clock.wallMs();
      let refreshedMs = this.#lastMs;
      for (;;) {
        const next = await events.next();
        // The lists of the next stream contain what was lost.
        if (next.done === true || next.value.type === 'lost') break;
        const event = next.value;
        this.#lastMs = this.#deps.clock.wallMs();
        this.#took(EVENT_BYTES);
        this.#heard.event(event);
        if (this.#lastMs - refreshedMs > REFRESH_MS) {
          refreshedMs = this.#lastMs;
          await this.#refresh(address);
        }
      }
    } finally {
      streaming.close();
    }
    this.#heard.lost('silent', 'its agent ended the stream of events', this.#lastMs);
  }

  /** Waits for the kernel of a dead host outside the turns. A relay answers by itself. */
  async #knock(address: string): Promise<void> {
    if (rendezvousOf(address) !== undefined) return;
    const { what } = await this.#deps.knock(address, CONNECT_MS, this.#end.signal);
    if (what !== 'silence') return;
    const reason = 'no answer to the connection';
    throw godwitError('GODWIT_UNREACHABLE', { peer: this.#name, address, reason });
  }

  /** Uses a temporary connection: a fleet has thousands of hosts, and each keeps its stream's connection. */
  async #lists(address: string): Promise<void> {
    await this.#asking(address, async ({ api }, options) => {
      const info = await api.host({}, options);
      const { guests, left } = await everyGuestOfPeer(api, this.#name, options);
      this.#heard.all(info, guests, left);
    });
  }

  async #refresh(address: string): Promise<void> {
    await this.#asking(address, async ({ api }, options) => {
      this.#heard.info(await api.host({}, options));
    });
  }

  async #asking(
    address: string,
    work: (asked: Client<typeof LISTS>, options: Asking) => Promise<void>,
  ): Promise<void> {
    const asked = this.#client(LISTS, address);
    const allowance = { bytes: MAX_LIST_BYTES };
    try {
      await work(asked, { signal: this.#end.signal, deadlineMs: ANSWER_MS, allowance });
    } finally {
      asked.close();
      this.#took(MAX_LIST_BYTES - allowance.bytes);
    }
  }

  #client<C extends Contract>(contract: C, address: string): Client<C> {
    const { credentials } = this.#deps;
    const transport = { address, credentials, expectedName: this.#name };
    return client(contract, transport, { streamIdleMs: SILENT_MS });
  }
}

/** Maps a failure to a host's state; only missing answers mean silence. */
function judged(thrown: unknown): { state: HostState; reason: string } {
  const error = toGodwitError(thrown);
  const reason = error.message.slice(0, 1000);
  const isNewer = hasCode(error, 'GODWIT_ERROR_NEWER', 'GODWIT_PROTOCOL_VERSION');
  if (
    isNewer ||
    hasCode(error, 'GODWIT_PROTOCOL_INVALID', 'GODWIT_ROUTE_UNKNOWN', 'GODWIT_TOO_LARGE')
  )
    return { state: 'incompatible', reason };
  const isRefused = hasCode(
    error,
    ...(['GODWIT_PEER_UNTRUSTED', 'GODWIT_CERT_EXPIRED', 'GODWIT_CERT_REVOKED'] as const),
    ...(['GODWIT_NOT_A_MEMBER', 'GODWIT_ROLE_FORBIDDEN'] as const),
    ...(['GODWIT_LIST_EXPIRED', 'GODWIT_LIST_DAMAGED'] as const),
  );
  return { state: isRefused ? 'untrusted' : 'silent', reason };
}
