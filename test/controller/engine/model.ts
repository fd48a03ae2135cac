/**
 * One drain, two controllers, agents and a network between them, in which every call is a choice: answered, lost before or
 * after it took effect, late, doubled; a controller may die, or stall until its lease is over and then go on.
 */
import { Carrier } from '../../../src/controller/engine/carrier.ts';
import type { AgentCalls, Claim, RequestStore } from '../../../src/controller/engine/ports.ts';
import { isOpen, type Cancel } from '../../../src/controller/requests/moves.ts';
import type { Sight } from '../../../src/controller/requests/settle.ts';
import {
  isRequestEnd,
  newRequest,
  type Move,
} from '../../../src/protocol/controller/fleet-request.ts';
import { isWrite, settled, type Choice, type Controller, type Pending } from './model-context.ts';
import { ModelAgent } from './model-agent.ts';
import { ModelRolls } from './model-rolls.ts';
import { Mutex } from '../../../src/mutex.ts';
import { MemoryStore, type StoreFlaw } from './memory-store.ts';
import { ENGINE_FLAWS, type Flaw } from './model-flaws.ts';
import { ModelHand } from './model-hand.ts';
import { noModes } from './no-modes.ts';

export type { Flaw };

export interface Bounds {
  /** A drain of a, where nothing else is said; a roll is of a and b. */
  readonly kind?: 'drain' | 'roll';
  readonly guests: number;
  /** Deaths, stalls past the lease, lost, late and doubled messages, failed migrations: together. */
  readonly faults: number;
  /** A person may cancel, at any moment. */
  readonly cancel: Cancel;
  /** A guest of b that a person moves to a, at any moment, without a controller. */
  readonly byHand?: boolean;
}

export const REQUEST = 'r-00000001';
const LEASE_MS = 5000;

export class Model {
  readonly store: MemoryStore;
  readonly #flaws: ReadonlySet<Flaw>;
  readonly #bounds: Bounds;
  readonly #controllers: Controller[] = [];
  /** Calls whose caller waits no more, and that may arrive still. */
  readonly #wire: { readonly what: string; readonly execute: () => Promise<unknown> }[] = [];
  readonly #agent: ModelAgent;
  readonly #rolls: ModelRolls;
  readonly #hand: ModelHand;
  readonly #known = new Map<string, string>();
  #faults: number;
  #cancelled = false;
  #movesAtCancel = 0;
  readonly #failures = new Map<string, number>();
  /** The first rule that was broken. */
  broken: string | undefined;

  constructor(bounds: Bounds, flaws: readonly Flaw[]) {
    const storeFlaws = flaws.filter((each): each is StoreFlaw => !ENGINE_FLAWS.has(each));
    this.store = new MemoryStore(storeFlaws);
    this.#flaws = new Set(flaws);
    this.#bounds = bounds;
    this.#faults = bounds.faults;
    this.#agent = new ModelAgent(bounds.guests, this.#flaws, (move) => this.#onBegin(move));
    const { kind = 'drain', byHand = false } = bounds;
    this.#hand = new ModelHand(this.#flaws, byHand ? this.#agent : undefined);
    const more = kind === 'roll' ? { hosts: ['a', 'b'], run: 'upgrade' } : { hosts: ['a'] };
    const ask = { kind, priority: 0, settings: {}, ...more };
    this.store.add(newRequest(REQUEST, ask, { nowMs: 0, by: 'test' }));
    const isEmpty = (host: string): boolean =>
      ![...this.#agent.home.values()].includes(host) &&
      ![...this.#agent.migrations.values()].some(
        (each) => each.to === host && each.state === 'going',
      );
    const parts = { store: this.store, flaws: this.#flaws, isEmpty };
    this.#rolls = new ModelRolls(REQUEST, parts, (rule) => this.#break(rule));
    for (const name of ['one', 'two']) this.#start(name);
  }

  /** All that can happen next. */
  choices(): Choice[] {
    const all = [
      ...this.#controllers.flatMap((each) => this.#ofController(each)),
      ...this.#ofWire(),
      ...this.#ofAgent(),
      ...this.#ofTime(),
      ...this.#ofLeases(),
      ...this.#ofPeople(),
      ...this.#hand.choices(this.#agent),
    ];
    return this.#faults > 0 ? all : all.filter(({ isFault }) => !isFault);
  }

  async take({ act, isFault }: Choice): Promise<void> {
    if (isFault) this.#faults -= 1;
    await act();
    await settled();
    this.#check();
  }

  key(): string {
    const { store } = this;
    return JSON.stringify([
      [...store.rows.values()],
      [...store.moves.values()],
      [...store.leases],
      [
        store.epoch,
        store.admission,
        store.nowMs,
        this.#faults,
        this.#cancelled,
        this.#agent.epochSeen,
      ],
      this.#controllers.map(({ alive, held, trace, pending }) => [
        alive,
        held(),
        trace,
        pending.map(({ what }) => what).toSorted(),
      ]),
      this.#wire.map(({ what }) => what).toSorted(),
      [...this.#agent.migrations],
      [...this.#agent.seenHome],
      [...store.marks.values()],
      this.#rolls.key(),
      this.#hand.key(),
    ]);
  }

  get isOver(): boolean {
    return isRequestEnd(this.store.rows.get(REQUEST)?.request.phase ?? 'working');
  }

  /** What a fair run must have come to. */
  checkEnd(): void {
    if (!this.isOver) this.#break('a fair run does not end');
    for (const [id, { state }] of this.#agent.migrations) {
      const phase = this.store.moves.get(id)?.phase;
      if (state === 'going') continue;
      if (phase !== state) this.#break(`${id} ended as ${state} and is recorded as ${phase}`);
    }
  }

  #start(name: string): void {
    const controller: Controller = {
      name,
      alive: true,
      held: () => controller.carrier?.claim,
      carrier: undefined,
      pending: [],
      trace: '',
    };
    this.#controllers.push(controller);
    void this.#run(controller);
  }

  /** What RequestLoop does, with each pause a choice. */
  async #run(controller: Controller): Promise<void> {
    const call = <T>(to: Pending['to'], what: string, execute: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        const done = resolve as (value: unknown) => void;
        controller.pending.push({ to, what, execute, resolve: done, reject });
      });
    const pause = () => call('sleep', 'sleep', async () => {});
    const parts = {
      store: this.#storeFor(controller, call),
      agents: this.#agentsFor(call),
      fleet: this.#agent.view(),
      roll: this.#rolls.calls((what, execute) =>
        call(what.startsWith('program') ? 'program' : 'agent', what, execute),
      ),
      modes: noModes,
      hosts: this.#hand.calls(call, this.#agent),
      newId: this.#idsFor(controller),
      leaseMs: LEASE_MS,
      turns: new Mutex(),
    };
    for (;;) {
      const claim = await parts.store.acquire(controller.name, LEASE_MS).catch(() => undefined);
      if (claim !== undefined) {
        const carrier = new Carrier(claim, parts);
        controller.carrier = carrier;
        for (;;) {
          const round = await carrier.round().catch(() => 'wait' as const);
          if (round === 'lost' || round === 'ended' || round === 'idle') break;
          if (round !== 'again') await Promise.race([pause(), carrier.ended, ...carrier.pending]);
        }
        await parts.store.release(carrier.claim, 0).catch(() => {});
        controller.carrier = undefined;
      }
      controller.trace = '';
      await pause();
    }
  }

  #storeFor(
    controller: Controller,
    call: <T>(to: Pending['to'], what: string, execute: () => Promise<T>) => Promise<T>,
  ): RequestStore {
    const { store } = this;
    const own = ({ epoch }: Claim): string => `${controller.name} ${epoch}`;
    return {
      acquire: (owner, ms) => call('store', `acquire ${owner}`, () => store.acquire(owner, ms)),
      advance: (claim, ms) =>
        call('store', `advance ${own(claim)}`, () => store.advance(claim, ms)),
      view: (claim, ms) =>
        call('store', `view ${own(claim)}`, () => {
          controller.trace = '';
          return store.view(claim, ms);
        }),
      renew: store.renew.bind(store),
      renewAll: store.renewAll.bind(store),
      commit: async (claim, change) => {
        if (this.#flaws.has('ask-before-store') && change.admission !== undefined) {
          for (const each of change.moves) void this.#agent.put(each, claim.epoch);
        }
        const what = `commit ${own(claim)} ${JSON.stringify(change)}`;
        return call('store', what, () => store.commit(claim, change));
      },
      release: (claim, due) =>
        call('store', `release ${own(claim)}`, () => store.release(claim, due)),
    };
  }

  #agentsFor(
    call: (to: 'agent', what: string, execute: () => Promise<Sight>) => Promise<Sight>,
  ): AgentCalls {
    return {
      put: (move, { epoch }) =>
        call('agent', `put ${move.id} ${epoch}`, () => this.#agent.put(move, epoch)),
      cancel: (move, { epoch }) =>
        call('agent', `cancel ${move.id} ${epoch}`, () => this.#agent.cancel(move, epoch)),
      look: (move) => call('agent', `look ${move.id}`, async () => this.#agent.look(move.id)),
    };
  }

  /** Ids that are new whenever they are used, and the same again where the same happens. */
  #idsFor(controller: Controller): () => string {
    let at = '';
    let count = 0;
    return () => {
      const now = `m-${controller.name}${String(controller.held()?.epoch ?? 0).padStart(4, '0')}x${this.store.moves.size}x`;
      if (now !== at || count === 64) [at, count] = [now, 0];
      count += 1;
      return `${now}${count}`;
    };
  }

  #ofController(controller: Controller): Choice[] {
    const { name, alive, pending } = controller;
    if (!alive) return [];
    const claim = controller.held();
    const calls = pending.flatMap((call) => this.#ofCall(controller, call));
    const kill = (): void => {
      controller.alive = false;
      for (const { to, what, execute } of pending) {
        if (to !== 'sleep' && isWrite(what)) this.#wire.push({ what, execute });
      }
      pending.length = 0;
      controller.trace = '';
      if (claim !== undefined) this.#expire(claim);
      controller.carrier = undefined;
    };
    const stands =
      claim !== undefined && this.store.leases.get(claim.request)?.epoch === claim.epoch;
    return [
      ...calls,
      ...(this.#controllers.filter((each) => each.alive).length > 1
        ? [{ name: `kill ${name}`, isFault: true, act: kill }]
        : []),
      ...(stands
        ? [{ name: `${name} is stalled`, isFault: true, act: () => this.#expire(claim) }]
        : []),
    ];
  }

  #expire({ request, epoch }: Claim): void {
    const lease = this.store.leases.get(request);
    if (lease?.epoch === epoch) lease.untilMs = 0;
  }

  #ofCall(controller: Controller, call: Pending): Choice[] {
    const { to, what, execute, resolve, reject } = call;
    const done = (answer: string): void => {
      controller.pending.splice(controller.pending.indexOf(call), 1);
      controller.trace += `|${what}=${answer}`;
    };
    const answer = async (): Promise<void> => {
      const value = await execute();
      done(JSON.stringify(value) ?? '');
      resolve(value);
    };
    const name = `${controller.name}: ${what}`;
    const choices: Choice[] = [{ name, isFault: false, act: answer }];
    if (to === 'sleep') return choices;
    if (to === 'program') {
      const fail = (): void => {
        done('failed');
        resolve({ of: 'program', ok: false, words: 'ended with 1' });
      };
      return [...choices, { name: `${controller.name}: ${what} fails`, isFault: true, act: fail }];
    }
    const giveUp = (): void => {
      done('silent');
      if (to === 'agent') resolve({ seen: 'silent' });
      else reject(new Error('no answer'));
    };
    if (!isWrite(what)) return choices;
    const lost = async (): Promise<void> => {
      await execute();
      giveUp();
    };
    const late = (): void => {
      this.#wire.push({ what, execute });
      giveUp();
    };
    const doubled = async (): Promise<void> => {
      this.#wire.push({ what, execute });
      await answer();
    };
    return [
      ...choices,
      { name: `${controller.name}: ${what}, its answer is lost`, isFault: true, act: lost },
      { name: `${controller.name}: ${what}, late`, isFault: true, act: late },
      ...(to === 'agent'
        ? [{ name: `${controller.name}: ${what}, doubled`, isFault: true, act: doubled }]
        : []),
    ];
  }

  #ofWire(): Choice[] {
    return this.#wire.map((each) => ({
      name: `arrives late: ${each.what}`,
      isFault: false,
      act: async () => {
        this.#wire.splice(this.#wire.indexOf(each), 1);
        await each.execute();
      },
    }));
  }

  #ofAgent(): Choice[] {
    const going = [...this.#agent.migrations].filter(([, { state }]) => state === 'going');
    const end = (id: string, state: 'done' | 'failed'): void => {
      const found = this.#agent.migrations.get(id);
      if (found === undefined) return;
      found.state = state;
      this.#pass(10_000);
      if (state === 'done') this.#agent.home.set(found.guest, found.to);
      else this.#failures.set(found.guest, (this.#failures.get(found.guest) ?? 0) + 1);
    };
    const isOld = [...this.#agent.home].some(
      ([guest, host]) => this.#agent.seenHome.get(guest) !== host,
    );
    return [
      ...going.map(([id]) => ({
        name: `${id} is done`,
        isFault: false,
        act: () => end(id, 'done'),
      })),
      ...going.map(([id]) => ({
        name: `${id} fails`,
        isFault: true,
        act: () => end(id, 'failed'),
      })),
      ...(isOld
        ? [
            {
              name: 'the fleet is looked at',
              isFault: false,
              act: () => {
                this.#agent.seenHome = new Map(this.#agent.home);
              },
            },
          ]
        : []),
    ];
  }

  /** Nobody is stalled meanwhile: that is a choice of its own. */
  #pass(ms: number): void {
    this.store.nowMs += ms;
    for (const lease of this.store.leases.values()) {
      if (lease.untilMs > 0) lease.untilMs = this.store.nowMs + LEASE_MS;
    }
  }

  /** A claim whose holder does not know of it ends by its lease. */
  #ofLeases(): Choice[] {
    const held = this.#controllers.map((each) => each.held()?.epoch);
    return [...this.store.leases].flatMap(([request, { epoch, untilMs, owner }]): Choice[] => {
      if (untilMs === 0 || held.includes(epoch)) return [];
      const act = (): void => this.#expire({ request, epoch, owner });
      return [{ name: `the lease of ${epoch} is over`, isFault: false, act }];
    });
  }

  #ofTime(): Choice[] {
    const tries = Object.values(this.store.rows.get(REQUEST)?.request.tries ?? {});
    const next = Math.max(...tries.map(({ notBeforeMs }) => notBeforeMs));
    const waitMs = next - this.store.nowMs;
    if (!(waitMs > 0)) return [];
    return [{ name: 'the pause is over', isFault: false, act: () => this.#pass(waitMs) }];
  }

  #ofPeople(): Choice[] {
    const { cancel } = this.#bounds;
    if (cancel === 'no' || this.#cancelled || this.isOver) return [];
    const act = (): void => {
      this.#cancelled = true;
      this.#movesAtCancel = this.store.moves.size;
      this.#rolls.cancelled();
      this.store.cancel(REQUEST, cancel);
    };
    return [{ name: `cancel (${cancel})`, isFault: false, act }];
  }

  #onBegin({ id, guest }: Move): void {
    const stored = this.store.moves.get(id);
    if (stored === undefined) this.#break(`${id} begins, and nobody has stored it`);
    else if (!isOpen(stored.phase)) this.#break(`${id} begins, and is recorded as ${stored.phase}`);
    const own = [...this.#agent.migrations.values()].filter((each) => each.guest === guest);
    if (own.filter(({ state }) => state === 'going').length > 1) {
      this.#break(`${guest} is moved twice at once`);
    }
    const isRoll = this.#bounds.kind === 'roll';
    if (!isRoll && own.some(({ state }) => state === 'done')) {
      this.#break(`${guest} is moved a second time`);
    }
  }

  #check(): void {
    for (const [id, { state }] of this.#agent.migrations) {
      const stored = this.store.moves.get(id);
      const isReserved = this.store.reservations().some(({ move }) => move === id);
      if (state === 'going' && !isReserved) this.#break(`${id} goes on and has no room promised`);
      if (stored !== undefined && this.#known.get(id) !== undefined) {
        const before = this.#known.get(id) as Move['phase'];
        if (!isOpen(before) && stored.phase !== before) {
          this.#break(`${id} was recorded as ${before}, and now as ${stored.phase}`);
        }
      }
      if (stored !== undefined) this.#known.set(id, stored.phase);
    }
    if (this.#cancelled && this.store.moves.size > this.#movesAtCancel) {
      this.#break('a move was chosen after the cancel');
    }
    this.#rolls.check();
    if (this.#bounds.kind === 'roll') return;
    const { phase, moved } = this.store.rows.get(REQUEST)?.request ?? {
      phase: 'working',
      moved: 0,
    };
    const isThere = [...this.#agent.home.values()].includes('a') || this.#hand.isComing;
    if (phase === 'done' && isThere) this.#break('it is done, and a guest is there');
    const really = this.#hand.movedFrom('a', this.#agent);
    if (moved > really) this.#break(`${moved} are counted as moved, and ${really} were`);
    if (phase === 'done' && moved !== really) this.#break(`${really} moved, and ${moved} counted`);
  }

  #break(rule: string): void {
    this.broken ??= rule;
  }
}
