import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { isManagedRequest } from '../../protocol/mover/request.ts';
import type { Log } from '../../log.ts';
import { replaySource } from '../../migration/direct/journal.ts';
import { findThirdHost, type ThirdHost } from '../../migration/direct/elsewhere.ts';
import { doubtsOf, type GuestSightings } from '../../migration/direct/guest-sightings.ts';
import { judge, safeAnswer } from '../../migration/direct/resolution.ts';
import { whyNotResolved, type Resolved } from '../../migration/direct/resolve.ts';
import type { Fence } from '../../host/fencing.ts';
import { openSourceJournal } from '../../host/journal/journal.ts';
import type { BootTime } from '../../migration/boot-time.ts';
import type { MoverState } from '../../protocol/mover/request.ts';
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
import type { Peers } from '../peers.ts';
import { answeredDoubts, confirmed, notSafe, refusal } from './resolve-answers.ts';
import { lockWhenFree } from './resolve-lock.ts';
import { DamagedResolve, isDamaged } from './resolve-damaged.ts';
import { ManagedResolve } from './resolve-managed.ts';
import { SingleFlight } from '../guests/single-flight.ts';
import { checkPartner, peerOf, type Sides } from '../migrations/sides.ts';
import { sightingOf } from '../guests/sightings.ts';
import type { Guests } from '../guests/guests.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';
import type { Supervisor } from '../processes/supervision.ts';
import { Mutex } from '../../mutex.ts';

const ORDER_MS = 90_000;

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
  /** Absent: this process on this host. */
  readonly around?: ResolveSurroundings;
}

/** What an operator's order is written with, and how the mover of this side is told of it. */
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

/** Both sides as they were found, and the hosts for which an operator who insists answers. */
interface Look {
  readonly known: Resolution;
  readonly isDark: boolean;
  readonly inDoubt: readonly HostDoubts[];
  readonly third: ThirdHost | undefined;
}

type Order = Pick<Resolved, 'runAt' | 'proof' | 'by'> & {
  readonly answersFor: HostDoubts[];
  readonly third: ThirdHost | undefined;
};

/** A person decides where the guest of a held migration runs; what is provably wrong is refused. */
export class Resolve {
  readonly #deps: ResolveDependencies;
  readonly #around: ResolveSurroundings;
  readonly #mutex = new Mutex();
  readonly #managed: ManagedResolve;
  readonly #damaged: DamagedResolve;
  readonly #looks = new SingleFlight((id) => this.show(id));

  constructor(deps: ResolveDependencies) {
    this.#deps = deps;
    this.#around = deps.around ?? HERE;
    this.#managed = new ManagedResolve({ ...deps, drivers: deps.guests.drivers });
    this.#damaged = new DamagedResolve(deps);
  }

  /** Both sides as they are now, and what each answer risks. */
  async show(id: string): Promise<Resolution> {
    const migration = this.#deps.store.need(id);
    if (isDamaged(migration)) return this.#damaged.show(migration);
    const { request, ...rest } = migration;
    if (isManagedRequest(request)) return this.#managed.show({ ...rest, request });
    return (await this.#look(id)).known;
  }

  /** The same for whoever only reads: those who ask at once share one look at both hosts. */
  readonly shown = (id: string): Promise<Resolution> => this.#looks.read(id);

  async #look(id: string): Promise<Look> {
    const { store, sides, peers, config } = this.#deps;
    const migration = store.need(id);
    const { request } = migration;
    const [here, asked] = await Promise.all([
      sides.view(id, 'hypervisor'),
      peers.side(peerOf(migration).name, id),
    ]);
    const there = 'view' in asked ? asked.view : undefined;
    const unreported = 'unreachable' in asked ? asked.unreachable : undefined;
    const fleet = await this.#askFleet(id, here.guest, here.uuid ?? there?.uuid, unreported);
    const [source, destination] = request.side === 'source' ? [here, there] : [there, here];
    const { guest } = here;
    const { fromHost: from, toHost: to } = request;
    const answers = judge({ guest, from, to, source, destination, fleet });
    const safe = safeAnswer(answers);
    const inDoubt = doubtsOf(fleet, guest);
    const known = {
      id,
      guest,
      from,
      to,
      here,
      ...defined({ there }),
      ...('unreachable' in asked ? { unreachable: asked.unreachable } : {}),
      fencing: config.fencing !== undefined,
      answers,
      ...(fleet.unasked.length === 0 ? {} : { unasked: [...fleet.unasked] }),
      ...(inDoubt.length === 0 ? {} : { inDoubt: inDoubt.slice(0, 1024) }),
      ...defined({ safe }),
    };
    const third = findThirdHost({ guest, from, to, fleet });
    return { known, isDark: 'isDark' in asked && asked.isDark, inDoubt, third };
  }

  /** Every host is asked for the guest; `unreported`: why the other side could not say what it knows of the migration. */
  async #askFleet(
    id: string,
    guest: string,
    uuid: string | undefined,
    unreported: string | undefined,
  ): Promise<GuestSightings> {
    const { store, peers, guests, config } = this.#deps;
    const migration = store.need(id);
    const query = { id, ...defined({ uuid }) };
    const [own, others] = await Promise.all([
      sightingOf({ guests, store, host: config.name }, guest, { ...query, asker: config.name }),
      peers.sightings(guest, query),
    ]);
    const other = peerOf(migration).name;
    const unasked = others.unasked.filter(({ host }) => unreported === undefined || host !== other);
    if (unreported !== undefined) unasked.push({ host: other, why: unreported });
    const since = migration.request.createdAt;
    return { id, since, uuid, sightings: [own, ...others.sightings], unasked };
  }

  /** Does what was decided, on the best ground that there is: both hosts' answers, a proof, or the person's decision. */
  resolve(id: string, asked: ResolveRequest, by: string): Promise<ResolveAnswer> {
    return this.#mutex.run(async () => {
      const migration = this.#deps.store.need(id);
      if (isDamaged(migration)) return this.#damaged.resolve(migration, asked, by);
      const { request, ...rest } = migration;
      if (isManagedRequest(request)) {
        return this.#managed.resolve({ ...rest, request }, asked, by);
      }
      const { known, isDark, inDoubt, third } = await this.#look(id);
      const answer = confirmed(known, asked);
      const { side, phase, moverAlive } = known.here;
      if (side === 'source' && !isEnd(phase) && moverAlive) {
        throw refusal(known, asked.runAt, `it still goes on by itself (${phase})`);
      }
      if (isEnd(phase) && phase !== 'held') throw refusal(known, asked.runAt, `it is ${phase}`);
      const proof = await this.#proofFor(known, answer, isDark, asked.iKnow);
      const answersFor = asked.iKnow ? answeredDoubts(known, asked, inDoubt) : [];
      this.#deps.log.warn({ id, by, proof, answersFor, runAt: asked.runAt }, 'migration resolved');
      const order = { runAt: asked.runAt, proof, by: by.slice(0, 128), answersFor, third };
      return side === 'source' ? this.#atSource(known, order) : this.#atDestination(known, order);
    });
  }

  /**
   * The other host asks. It is followed only if this host, after asking every host of the fleet, finds the answer safe:
   * a peer has no say in it, and cannot pass on that an operator insists.
   */
  takeUp(id: string, runAt: RunAt, by: string, caller: Caller): Promise<ResolveAnswer> {
    checkPartner(this.#deps.store.need(id), caller);
    return this.#mutex.run(async () => {
      const { known, third } = await this.#look(id);
      const { side, phase, moverAlive } = known.here;
      if (side !== 'source') throw refusal(known, runAt, `${known.here.host} is the destination`);
      if (!isEnd(phase) && moverAlive) return { what: `it goes on (${phase})`, proof: 'ask' };
      const answer = known.answers.find((each) => each.runAt === runAt);
      if (isEnd(phase) && answer?.verdict !== 'safe') throw notSafe(known, runAt, answer);
      const order = { runAt, proof: 'ask', by: `${by} at ${caller.name}`.slice(0, 128) } as const;
      return this.#atSource(known, { ...order, answersFor: [], third });
    });
  }

  async #proofFor(
    known: Resolution,
    answer: Answer,
    isDark: boolean,
    iKnow: boolean,
  ): Promise<Resolved['proof']> {
    if (answer.verdict !== 'unknown' && answer.proof !== 'none') return answer.proof;
    const { here, from, to, id, guest } = known;
    const other = here.side === 'source' ? to : from;
    const side = here.side === 'source' ? 'destination' : 'source';
    let reason = [answer.why, ...(answer.verdict === 'unknown' ? answer.risks : [])].join('; ');
    // A host that answers is not to be turned off; and of a third host that does not, it proves nothing.
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
        ? 'Look which host runs it, and say so with --yes-i-know.'
        : `Make sure that ${other} is off, or does not run it, and say so with --yes-i-know.`;
    throw godwitError('GODWIT_RESOLVE_UNPROVED', { guest, reason }, { hint });
  }

  async #atSource(known: Resolution, order: Order): Promise<ResolveAnswer> {
    const { store, supervisor } = this.#deps;
    const { id, guest, from, to } = known;
    const migration = store.need(id);
    if (!isEnd(known.here.phase)) {
      // It is stalled because its movers kept ending: a new one goes on as the journal has it.
      supervisor.again(id);
      await supervisor.ensure(migration);
      return { what: `a new mover goes on with ${id}`, proof: 'ask' };
    }
    const { hypervisor } = known.here;
    const here = hypervisor === 'none' ? 'unknown' : hypervisor;
    const { third, ...decided } = order;
    const elsewhere =
      order.runAt === 'elsewhere' && third !== undefined ? { elsewhere: third } : {};
    const event: Resolved = {
      type: 'resolved',
      ...decided,
      ...elsewhere,
      here,
      ...this.#around.bootTime(),
    };
    await this.#journal(migration, event, known);
    store.reopen(id);
    await supervisor.ensure(migration);
    const whats = {
      source: `${guest} goes back to ${from}`,
      destination: `${guest} goes on to ${to}`,
      elsewhere: `the copy of ${guest} at ${from} is ended`,
    };
    return { what: whats[order.runAt], proof: order.proof };
  }

  /** Under the same lock as a mover: there is none now, and none may begin in between. */
  async #journal(migration: Migration, event: Resolved, known: Resolution): Promise<void> {
    const { clock, config } = this.#deps;
    const { hold, openFile } = this.#around;
    const lock = await hold(migration, clock, config.name);
    try {
      const { journal, events } = openSourceJournal(migration.dir, clock, openFile);
      try {
        const state = replaySource(events);
        const why = state === undefined ? 'it never began' : whyNotResolved(state, event);
        if (why !== undefined) throw refusal(known, event.runAt, why);
        await journal.append(event, 'sync');
      } finally {
        await journal.close();
      }
    } finally {
      lock.release();
    }
  }

  /** Where the source answers, it decides, with this side's answer; else this side does what it can alone. */
  async #atDestination(known: Resolution, order: Order): Promise<ResolveAnswer> {
    const { peers, supervisor, store } = this.#deps;
    const { id, from } = known;
    const { runAt, by, proof, answersFor } = order;
    if (known.there !== undefined) return peers.takeUp(from, id, { runAt, by });
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
