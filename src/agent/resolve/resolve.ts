import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import { isManagedRequest, type MoverState } from '../../protocol/mover/request.ts';
import type { Log } from '../../log.ts';
import { replaySource } from '../../migration/direct/journal.ts';
import { whyNotResolved, type ResolvedEvent } from '../../migration/direct/source/resolve.ts';
import type { Fence } from '../../host/fencing.ts';
import { openSourceJournal } from '../../host/journal/journal.ts';
import type { BootTime } from '../../migration/boot-time.ts';
import { openJournalFile, type OpenJournalFile } from '../../system/journal-file.ts';
import { bootTime } from '../../system/processes/process.ts';
import { moverContract } from '../../protocol/mover/contract.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import type {
  Answer,
  HostDoubts,
  Resolution,
  ResolveAnswer,
  ResolveRequest,
  RunAt,
} from '../../protocol/public/resolve.ts';
import { client, type Client } from '../../rpc/client.ts';
import type { Caller } from '../../rpc/caller.ts';
import type { MoverProcesses } from '../processes/mover-process.ts';
import { TAKE_UP_MS, type Peers } from '../peers.ts';
import {
  answeredDoubts,
  confirmed,
  notSafe,
  OUTDATED,
  refusal,
  type OperatorOrder,
} from './resolve-answers.ts';
import { lockWhenFree } from './resolve-lock.ts';
import { DamagedResolve, damagedIn } from './resolve-damaged.ts';
import { countRecords, lookAtSides, type Look } from './resolve-look.ts';
import { ManagedResolve } from './resolve-managed.ts';
import { SingleFlight } from '../guests/single-flight.ts';
import { checkPartner, peerOf, type Sides } from '../migrations/sides.ts';
import type { Guests } from '../guests/guests.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';
import type { Supervisor } from '../processes/supervision.ts';
import { Turns } from '../turns.ts';

const ORDER_MS = 90_000;
/** Time that an order waits for earlier orders of its migration, ms. The hosts' answers are that much older then. */
const TURN_MS = 20_000;
/** Time that a migration held again after an order is reserved for this host's operators, ms. */
const MIN_HELD_MS = 60_000;

export interface ResolveDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: MigrationStore;
  readonly guests: Guests;
  readonly movers: MoverProcesses;
  readonly supervisor: Supervisor;
  readonly peers: Peers;
  readonly sides: Sides;
  readonly fence: Fence | undefined;
  readonly around?: ResolveSurroundings;
}

export interface ResolveSurroundings {
  readonly bootTime: () => BootTime;
  readonly openFile: OpenJournalFile;
  readonly hold: typeof lockWhenFree;
  readonly connectMover: (mover: MoverState) => Pick<Client<typeof moverContract>, 'api' | 'close'>;
}

const HERE: ResolveSurroundings = {
  bootTime,
  openFile: openJournalFile,
  hold: lockWhenFree,
  connectMover: ({ socket }) => client(moverContract, { unix: socket }),
};

type Order = Pick<ResolvedEvent, 'runAt' | 'proof' | 'by' | 'insists'> & {
  readonly answersFor: HostDoubts[];
};

/** An operator decides where the guest of a held migration runs; provably wrong answers are refused. */
export class Resolve {
  readonly #deps: ResolveDependencies;
  readonly #around: ResolveSurroundings;
  /** Orders run one at a time for each migration. Hosts are queried before the turn, because a host may not answer. */
  readonly #orders = new Turns();
  /** One takeup at a time for each requesting host, because each queries the whole fleet. */
  readonly #takeUps = new Turns();
  readonly #operators = new Set<OperatorOrder>();
  readonly #managed: ManagedResolve;
  readonly #damaged: DamagedResolve;
  readonly #looks = new SingleFlight((id) => this.show(id));

  constructor(deps: ResolveDependencies) {
    this.#deps = deps;
    this.#around = deps.around ?? HERE;
    this.#managed = new ManagedResolve({ ...deps, drivers: deps.guests.drivers });
    this.#damaged = new DamagedResolve(deps);
  }

  async show(id: string): Promise<Resolution> {
    const migration = this.#deps.store.need(id);
    const damaged = damagedIn(this.#deps.store, migration);
    if (damaged !== undefined) return this.#damaged.show(damaged);
    const { request, ...rest } = migration;
    if (isManagedRequest(request)) return this.#managed.show({ ...rest, request });
    return (await lookAtSides(this.#deps, id)).known;
  }

  /** Like `show`, for readers: concurrent calls share one look. */
  readonly shown = (id: string): Promise<Resolution> => this.#looks.read(id);

  /**
   * Carries out an operator's order on the best ground: both hosts' answers, a proof, or the operator's decision.
   * `signal` aborts when the operator's program is gone; an order whose turn has come is still carried out.
   */
  async resolve(
    id: string,
    asked: ResolveRequest,
    by: string,
    signal: AbortSignal,
  ): Promise<ResolveAnswer> {
    const migration = this.#deps.store.need(id);
    const inTurn = <T>(job: () => Promise<T>): Promise<T> => this.#inTurn(id, signal, job);
    const operator: OperatorOrder = { id, by, signal, inTurn };
    this.#operators.add(operator);
    try {
      const damaged = damagedIn(this.#deps.store, migration);
      if (damaged !== undefined) return await this.#damaged.resolve(damaged, asked, operator);
      const { request, ...rest } = migration;
      if (isManagedRequest(request))
        return await this.#managed.resolve({ ...rest, request }, asked, operator);
      return await this.#resolve(migration, asked, operator);
    } finally {
      this.#operators.delete(operator);
    }
  }

  async #resolve(
    migration: Migration,
    asked: ResolveRequest,
    { by, signal, inTurn }: OperatorOrder,
  ): Promise<ResolveAnswer> {
    const { id } = migration;
    const { runAt } = asked;
    const look = await lookAtSides(this.#deps, id, signal);
    const { known } = look;
    const answer = confirmed(known, asked);
    const { side, phase, moverAlive } = known.here;
    if (isEnd(phase) && phase !== 'held') throw refusal(known, runAt, `it is ${phase}`);
    if (side === 'source' && !isEnd(phase)) {
      if (moverAlive) throw refusal(known, runAt, `it still goes on by itself (${phase})`);
      return this.#goOn(migration);
    }
    const decide = async (): Promise<Order> => {
      const proof = await this.#proofFor(known, answer, look.isDark, asked.iKnow);
      const answersFor = asked.iKnow ? answeredDoubts(known, asked, look.inDoubt) : [];
      this.#deps.log.warn({ id, by, proof, answersFor, runAt }, 'migration resolved');
      const insists = asked.iKnow ? { insists: true as const } : {};
      return { runAt, proof, by: by.slice(0, 128), answersFor, ...insists };
    };
    if (side === 'destination' && known.there !== undefined) {
      // The source decides by its own look. It may not answer, and nothing is ordered here, so no turn is taken.
      const order = await decide();
      return this.#deps.peers.takeUp(known.from, id, { runAt, by: order.by }, signal);
    }
    return inTurn(async () => {
      // Checked before the fencing hook: after an earlier order the guest may run at the host that would be turned off.
      this.#mustBeCurrent(look, runAt);
      const order = await decide();
      return side === 'source' ? this.#atSource(look, order) : this.#atDestination(look, order);
    });
  }

  /**
   * Handles an order of the other host. It is followed only if this host finds the answer safe after querying the whole
   * fleet: a peer cannot decide, nor relay that an operator insists.
   */
  takeUp(
    id: string,
    asked: Pick<Order, 'runAt' | 'by'>,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<ResolveAnswer> {
    checkPartner(this.#deps.store.need(id), caller);
    return withDeadline(`the takeup of ${id}`, TAKE_UP_MS, signal, (within) =>
      this.#takeUps.run(
        caller.name,
        { what: `an earlier takeup of ${caller.name}`, deadlineMs: TAKE_UP_MS, signal: within },
        () => this.#takeUp(id, { ...asked, by: `${asked.by} at ${caller.name}` }, within),
      ),
    );
  }

  async #takeUp(
    id: string,
    { runAt, by }: Pick<Order, 'runAt' | 'by'>,
    signal: AbortSignal,
  ): Promise<ResolveAnswer> {
    const goesOn = this.#answerUnasked(id, runAt);
    if (goesOn !== undefined) return goesOn;
    const look = await lookAtSides(this.#deps, id, signal);
    const { known } = look;
    const { phase } = known.here;
    if (!isEnd(phase)) return goingOn(phase);
    const answer = known.answers.find((each) => each.runAt === runAt);
    if (answer?.verdict !== 'safe') throw notSafe(known, runAt, answer);
    return this.#inTurn(id, signal, () => {
      this.#mustNotDisturb(known, runAt);
      return this.#atSource(look, { runAt, proof: 'ask', by: by.slice(0, 128), answersFor: [] });
    });
  }

  #answerUnasked(id: string, runAt: RunAt): ResolveAnswer | undefined {
    const { store, config } = this.#deps;
    const { request, damage } = store.need(id);
    if (damage !== undefined) throw damage.error;
    const { guest, phase } = store.progress(id);
    const known = { id, guest };
    if (request.side !== 'source') throw refusal(known, runAt, `${config.name} is the destination`);
    if (!isEnd(phase)) return goingOn(phase);
    if (phase !== 'held') throw refusal(known, runAt, `it is ${phase}`);
    this.#mustNotDisturb(known, runAt);
    this.#mustNotRepeat(known, runAt);
    return undefined;
  }

  /** Operators come first: a takeup meanwhile would outdate the answers that an operator decides on. */
  #mustNotDisturb(known: Pick<Resolution, 'id' | 'guest'>, runAt: RunAt): void {
    if (![...this.#operators].some(({ id }) => id === known.id)) return;
    throw refusal(known, runAt, `an operator decides about it at ${this.#deps.config.name} now`);
  }

  /** A partner could make each order fail and ask again, so that operators would never find the migration held. */
  #mustNotRepeat(known: Pick<Resolution, 'id' | 'guest'>, runAt: RunAt): void {
    const { clock, config, store } = this.#deps;
    const { source } = store.journals(known.id);
    if (source.every(({ event }) => event.type !== 'resolved')) return;
    const heldMs = clock.wallMs() - (source.at(-1)?.at ?? 0);
    // After the clock was set back, the refusal could last as long as that.
    if (heldMs < 0 || heldMs >= MIN_HELD_MS) return;
    const why = `an order was carried out, and it is held again for less than ${MIN_HELD_MS / 1000} s`;
    throw refusal(known, runAt, `${why}. Decide at ${config.name}, or wait`);
  }

  #inTurn<T>(id: string, signal: AbortSignal, job: () => Promise<T>): Promise<T> {
    const turn = { what: `an earlier order for ${id}`, deadlineMs: TURN_MS, signal };
    return this.#orders.run(id, turn, job);
  }

  #mustBeCurrent({ known, records }: Look, runAt: RunAt): void {
    if (countRecords(this.#deps.store, known.id) === records) return;
    throw refusal(known, runAt, OUTDATED);
  }

  /** The migration is stalled because its movers kept ending; a new one continues from the journal. */
  async #goOn(migration: Migration): Promise<ResolveAnswer> {
    const { supervisor } = this.#deps;
    supervisor.again(migration.id);
    await supervisor.ensure(migration);
    return { what: `a new mover goes on with ${migration.id}`, proof: 'ask' };
  }

  async #proofFor(
    known: Resolution,
    answer: Answer,
    isDark: boolean,
    iKnow: boolean,
  ): Promise<ResolvedEvent['proof']> {
    if (answer.verdict !== 'unknown' && answer.proof !== 'none') return answer.proof;
    const { here, from, to, id, guest } = known;
    const other = here.side === 'source' ? to : from;
    const side = here.side === 'source' ? 'destination' : 'source';
    let reason = [answer.why, ...(answer.verdict === 'unknown' ? answer.risks : [])].join('; ');
    // A host that answers must not be turned off, and fencing it proves nothing about a silent third host.
    const onlyOther = known.unasked?.every(({ host }) => host === other) ?? true;
    const mayProve = answer.runAt !== 'elsewhere' && isDark && onlyOther;
    if (this.#deps.fence !== undefined && mayProve) {
      const signal = AbortSignal.timeout(ORDER_MS);
      const { address, addresses: further = [] } = peerOf(this.#deps.store.need(id));
      const facts = { id, guest, side, addresses: [address, ...further] } as const;
      const fencing = await this.#deps.fence(other, facts, signal);
      if (fencing.off) return 'fenced';
      reason = `${reason}; ${fencing.why}`;
    }
    if (iKnow) return answer.proof === 'none' ? 'operator' : answer.proof;
    const hint =
      answer.runAt === 'elsewhere'
        ? 'Find the host that runs it. Then repeat the command with --yes-i-know.'
        : `Make sure that ${other} is off, or does not run it. Then repeat the command with --yes-i-know.`;
    throw godwitError('GODWIT_RESOLVE_UNPROVED', { guest, reason }, { hint });
  }

  async #atSource(look: Look, order: Order): Promise<ResolveAnswer> {
    const { store, supervisor } = this.#deps;
    const { known, third } = look;
    const { id, guest, from, to } = known;
    const migration = store.need(id);
    const { hypervisor } = known.here;
    const here = hypervisor === 'none' ? 'unknown' : hypervisor;
    const elsewhere =
      order.runAt === 'elsewhere' && third !== undefined ? { elsewhere: third } : {};
    const event: ResolvedEvent = {
      type: 'resolved',
      ...order,
      ...elsewhere,
      here,
      ...this.#around.bootTime(),
    };
    await this.#journal(migration, event, look);
    store.reopen(id);
    await supervisor.ensure(migration);
    const whats = {
      source: `${guest} goes back to ${from}`,
      destination: `${guest} goes on to ${to}`,
      elsewhere: `the copy of ${guest} at ${from} is ended`,
    };
    return { what: whats[order.runAt], proof: order.proof };
  }

  /**
   * Under the lock of a mover: none runs now, and none may begin. An order based on answers older than the journal's
   * last record is refused, because that record may invalidate them.
   */
  async #journal(
    migration: Migration,
    event: ResolvedEvent,
    { known, records }: Look,
  ): Promise<void> {
    const { clock, config } = this.#deps;
    const { hold, openFile } = this.#around;
    const lock = await hold(migration, clock, config.name);
    try {
      const { journal, events } = openSourceJournal(migration.dir, clock, openFile);
      try {
        const state = replaySource(events);
        const why = state === undefined ? 'it never began' : whyNotResolved(state, event);
        if (why !== undefined) throw refusal(known, event.runAt, why);
        if (events.length !== records) throw refusal(known, event.runAt, OUTDATED);
        await journal.append(event, 'sync');
      } finally {
        await journal.close();
      }
    } finally {
      lock.release();
    }
  }

  /** The source does not answer: this side acts alone. Its mover judges the order by its own state. */
  async #atDestination({ known }: Look, order: Order): Promise<ResolveAnswer> {
    const { supervisor, store } = this.#deps;
    const { id, from } = known;
    const { runAt, by, proof, answersFor } = order;
    if (runAt === 'elsewhere') throw refusal(known, runAt, `${from} does not answer`);
    const mover = await supervisor.ensure(store.need(id));
    const { api, close } = this.#around.connectMover(mover);
    try {
      const body = { runAt, by, proof, answersFor };
      return await api.resolve({ body }, { deadlineMs: ORDER_MS });
    } finally {
      close();
    }
  }
}

const goingOn = (phase: string): ResolveAnswer => ({ what: `it goes on (${phase})`, proof: 'ask' });
