import { stillPromised } from '../requests/room.ts';
import { callOf, isOpen, type Cancel, type MoveAnswer } from '../requests/moves.ts';
import type { Sight } from '../requests/settle.ts';
import { rollStep } from '../requests/roll.ts';
import type { StageAnswer } from '../requests/roll-health.ts';
import { step, type StepOutput } from '../requests/step.ts';
import {
  isRequestEnd,
  type Move,
  type FleetRequest,
} from '../../protocol/controller/fleet-request.ts';
import type { Mutex } from '../../mutex.ts';
import { type ModeHeard, modeCallOf } from '../requests/maintenance-mode.ts';
import type { HostHeard } from '../requests/occupancy.ts';
import type {
  AgentCalls,
  Claim,
  FleetView,
  HostCalls,
  ModeCalls,
  RollCalls,
  RequestStore,
  RequestView,
} from './ports.ts';
import { callOfRoll, RollCall } from './roll-call.ts';

export interface CarrierDependencies {
  readonly store: RequestStore;
  readonly agents: AgentCalls;
  readonly fleet: FleetView;
  readonly roll: RollCalls;
  readonly modes: ModeCalls;
  readonly hosts: HostCalls;
  readonly newId: () => string;
  readonly leaseMs: number;
  /** Held while room is promised; shared by all requests. */
  readonly turns: Mutex;
  /** Awaited before each decision, so that decisions of many requests do not block the event loop. */
  readonly yieldTurn?: () => Promise<void>;
}

interface Answers {
  readonly sights: ReadonlyMap<string, Sight>;
  readonly heard: StageAnswer | 'pending' | undefined;
  readonly mode: ModeHeard | undefined;
}

interface InRound extends Answers {
  readonly view: RequestView;
  readonly occupancies?: ReadonlyMap<string, HostHeard>;
}

interface PendingDecision {
  readonly round: InRound;
  readonly output: StepOutput;
}

/**
 * Result of a round. `lost`: another controller has the claim. `again`: more can be done at once. `wait`: agents work.
 * `idle`: only the fleet can change.
 */
export type Round = 'ended' | 'lost' | 'again' | 'wait' | 'idle';

const ENDS: ReadonlySet<MoveAnswer> = new Set(['done', 'failed', 'cancelled', 'lost']);

const HOSTS_AT_ONCE = 32;
const MAX_NEW = 64;

/**
 * Carries one request forward under one claim, in rounds: read, ask agents, decide, write. It keeps no other state, so
 * any controller can continue from the store.
 */
export class Carrier {
  readonly #deps: CarrierDependencies;
  #claim: Claim;
  readonly #calls = new Map<string, Promise<void>>();
  readonly #pressing = new Set<Promise<void>>();
  readonly #sights = new Map<string, Sight>();
  #ended = Promise.withResolvers<void>();
  #underway = 0;
  readonly #roll: RollCall;
  readonly #mode: ModeCallUnderway;

  constructor(claim: Claim, deps: CarrierDependencies) {
    this.#claim = claim;
    this.#deps = deps;
    this.#roll = new RollCall(deps);
    this.#mode = new ModeCallUnderway(deps.modes);
  }

  async end(): Promise<void> {
    await Promise.all([this.#roll.end(), this.#mode.end()]);
  }

  get claim(): Claim {
    return this.#claim;
  }

  get pending(): readonly Promise<void>[] {
    return [...this.#pressing];
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get underway(): number {
    return this.#underway;
  }

  async round(): Promise<Round> {
    const { fleet, turns } = this.#deps;
    this.#ended = Promise.withResolvers();
    const view = await this.#view();
    if (view === undefined) return 'lost';
    if (isRequestEnd(view.request.phase)) return 'ended';
    if (!(await this.#mayAsk(view))) return 'lost';
    for (const move of view.moves) this.#ask(move, view.cancel);
    this.#roll.ask(view, this.#claim);
    this.#mode.ask(view);
    const sights = this.#answered(view.moves);
    const answers = {
      sights,
      heard: this.#roll.heard(view.request),
      mode: this.#mode.heard(view.request),
    };
    const round = { view, ...answers };
    const first = await this.#decide(round, fleet.look());
    if (!isBeginning(view, first)) return this.#finish(round, first);
    // All other requests wait for this turn, so no host is asked in it.
    const promised = await turns.run(() => this.#promise(answers));
    return typeof promised === 'string' ? promised : this.#finish(promised.round, promised.output);
  }

  async #finish(round: InRound, first: StepOutput): Promise<Round> {
    const { asks = [] } = first;
    if (!needsHosts(round, first)) return this.#write(round, first);
    // Hosts report first; a guest that they no longer have is then looked for elsewhere, in a newer look.
    const occupancies = await this.#occupancies(asks);
    // A guest whose reservation ended before the view may have arrived after the earlier look.
    const output = await this.#decide({ ...round, occupancies }, this.#deps.fleet.look('now'));
    return this.#write(round, output);
  }

  async #occupancies(asked: readonly string[]): Promise<ReadonlyMap<string, HostHeard>> {
    const { hosts } = this.#deps;
    const all: [string, HostHeard][] = [];
    for (let at = 0; at < asked.length; at += HOSTS_AT_ONCE) {
      const some = asked.slice(at, at + HOSTS_AT_ONCE).map(async (host) => {
        all.push([host, await hosts.occupancy(host, this.#claim.request)]);
      });
      await Promise.all(some);
    }
    return new Map(all);
  }

  /**
   * Decides again with the earlier promises of this controller: of two concurrent decisions only one could be stored.
   */
  async #promise(answers: Answers): Promise<Round | PendingDecision> {
    const view = await this.#view();
    if (view === undefined) return 'lost';
    if (isRequestEnd(view.request.phase)) return 'ended';
    const round = { view, ...answers };
    const output = await this.#decide(round, this.#deps.fleet.look());
    const callsHosts = needsHosts(round, output) || output.opens !== undefined;
    return callsHosts ? { round, output } : this.#write(round, output);
  }

  #view(): Promise<RequestView | undefined> {
    return this.#deps.store.view(this.#claim, this.#deps.leaseMs);
  }

  async #decide(
    { view, sights, heard, mode, occupancies }: InRound,
    look: ReturnType<FleetView['look']>,
  ): Promise<StepOutput> {
    const known = await look;
    await this.#deps.yieldTurn?.();
    const { request, moves, cancel, world } = view;
    const { epoch } = this.#claim;
    const ids = Array.from({ length: MAX_NEW }, () => this.#deps.newId());
    const reservations = stillPromised(world.reservations, known);
    const now = { ...world, ...known, reservations };
    const input = { request, moves, sights, world: now, cancel, epoch, ids, occupancies };
    if (request.ask.kind === 'roll') return rollStep({ ...input, heard });
    return step({ ...input, mode });
  }

  async #mayAsk({ moves, cancel }: RequestView): Promise<boolean> {
    const needed = moves.some((each) => callOf(each, this.#claim.epoch, cancel) === 'advance');
    if (!needed) return true;
    const next = await this.#deps.store.advance(this.#claim, this.#deps.leaseMs);
    if (next === undefined) return false;
    this.#claim = next;
    return true;
  }

  #ask(move: Move, cancel: Cancel): void {
    const { id } = move;
    if (this.#calls.has(id) || this.#sights.has(id)) return;
    const asked = this.#call(move, cancel);
    if (asked === undefined) return;
    const call: Promise<void> = asked.then((sight) => {
      this.#calls.delete(id);
      this.#pressing.delete(call);
      this.#sights.set(id, sight);
      if (ENDS.has(sight.seen)) this.#ended.resolve();
    });
    this.#calls.set(id, call);
    if (callOf(move, this.#claim.epoch, cancel) !== 'look') this.#pressing.add(call);
  }

  #call(move: Move, cancel: Cancel): Promise<Sight> | undefined {
    const { agents } = this.#deps;
    const { request, epoch } = this.#claim;
    switch (callOf(move, epoch, cancel)) {
      case 'put':
        return agents.put(move, { request, epoch });
      case 'cancel':
        return agents.cancel(move, { request, epoch });
      case 'look':
        return agents.look(move);
      case 'advance':
      case 'store-epoch':
      case 'nothing':
        return undefined;
    }
  }

  #answered(moves: readonly Move[]): Map<string, Sight> {
    const own = moves.flatMap(({ id }) => {
      const sight = this.#sights.get(id);
      return sight === undefined ? [] : [[id, sight] as const];
    });
    return new Map(own);
  }

  async #write({ view, sights, heard }: InRound, output: StepOutput): Promise<Round> {
    const before = new Map(view.moves.map((each) => [each.id, JSON.stringify(each)]));
    const moves = output.moves.filter((each) => before.get(each.id) !== JSON.stringify(each));
    const isNew = isBeginning(view, output);
    const isSame =
      moves.length === 0 && JSON.stringify(output.request) === JSON.stringify(view.request);
    if (!isSame) {
      const admission = isNew ? { admission: view.admission } : {};
      const { version } = view;
      const { asks: _asks, ...decided } = output;
      const change = { ...decided, version, moves, ...admission };
      const written = await this.#deps.store.commit(this.#claim, change);
      if (written === 'stale') return 'lost';
      if (written === 'changed') return 'again';
      if (output.opens !== undefined)
        await this.#deps.hosts.open(output.opens, this.#claim.request);
    }
    for (const id of sights.keys()) this.#sights.delete(id);
    this.#roll.took(heard);
    this.#mode.took();
    if (isRequestEnd(output.request.phase)) return 'ended';
    const open = output.moves.filter(({ phase }) => isOpen(phase));
    this.#underway = open.length;
    if (isNew || open.some((each) => isPressing(each, view, this.#claim.epoch))) return 'again';
    if (output.request.roll?.stage !== view.request.roll?.stage) return 'again';
    const phase = output.request.maintenanceMode?.phase;
    if (phase !== view.request.maintenanceMode?.phase) return 'again';
    const isCalling =
      this.#roll.isPending ||
      this.#mode.isPending ||
      callOfRoll(output.request, view.cancel) !== 'nothing';
    return isCalling || output.moves.some(({ settled }) => !settled) ? 'wait' : 'idle';
  }
}

const isBeginning = ({ moves }: RequestView, output: StepOutput): boolean =>
  output.moves.some(({ id }) => !moves.some((each) => each.id === id));

const needsHosts = ({ view }: InRound, { asks = [], request }: StepOutput): boolean =>
  asks.length > 0 || restsOnEmpty(view.request, request);

const restsOnEmpty = (before: FleetRequest, after: FleetRequest): boolean =>
  after.phase === 'done' ||
  (before.roll?.stage !== after.roll?.stage &&
    (after.roll?.stage === 'noting' || after.roll?.stage === 'running'));

function isPressing(move: Move, { cancel, moves }: RequestView, epoch: number): boolean {
  const old = moves.find(({ id }) => id === move.id);
  return old === undefined || callOf(old, epoch, cancel) !== callOf(move, epoch, cancel);
}

/** A drain's single running call about its host's mode. */
class ModeCallUnderway {
  readonly #calls: ModeCalls;
  #of = '';
  #heard: ModeHeard | 'pending' | undefined;
  #call: Promise<void> = Promise.resolve();

  constructor(calls: ModeCalls) {
    this.#calls = calls;
  }

  /** Asks nothing while a call is unanswered: the manager gets one call at a time. */
  ask({ request, cancel, world }: Pick<RequestView, 'request' | 'cancel' | 'world'>): void {
    if (this.#heard !== undefined) return;
    const call = modeCallOf(request.maintenanceMode, cancel, world.nowMs);
    if (call === 'nothing') return;
    this.#heard = 'pending';
    this.#of = phaseOf(request);
    this.#call = this.#calls.ask(call, request).then((heard) => {
      this.#heard = heard;
    });
  }

  heard(request: FleetRequest): ModeHeard | undefined {
    if (this.#heard === 'pending' || this.#of !== phaseOf(request)) return undefined;
    return this.#heard;
  }

  get isPending(): boolean {
    return this.#heard === 'pending';
  }

  took(): void {
    if (this.#heard !== 'pending') this.#heard = undefined;
  }

  /** Waits, because the next order must come after the manager's answer. */
  async end(): Promise<void> {
    await this.#call;
  }
}

const phaseOf = ({ maintenanceMode }: FleetRequest): string => maintenanceMode?.phase ?? '';
