import type {
  Change,
  Claim,
  RequestStore,
  RequestView,
  CommitOutcome,
} from '../../../src/controller/engine/ports.ts';
import {
  DEFAULT_LIMITS,
  type HostMark,
  type Limits,
  type Reservation,
} from '../../../src/controller/requests/facts.ts';
import { isOpen, type Cancel } from '../../../src/controller/requests/moves.ts';
import { reservationOf } from '../../../src/controller/requests/step.ts';
import {
  isRequestEnd,
  type Move,
  type FleetRequest,
} from '../../../src/protocol/controller/fleet-request.ts';

interface Row {
  request: FleetRequest;
  cancel: Cancel;
  dueAtMs: number;
  version: number;
}

interface Lease {
  owner: string;
  epoch: number;
  untilMs: number;
}

/** What a real store must not do; each is found by the exploration. */
export type StoreFlaw =
  | 'late-write'
  | 'write-without-epoch'
  | 'epoch-by-owner'
  | 'begin-after-cancel';

/** The store of requests in memory. Each call takes effect at once, as one transaction. */
export class MemoryStore implements RequestStore {
  nowMs = 1_000_000;
  epoch = 0;
  admission = 0;
  limits: Limits = DEFAULT_LIMITS;
  readonly rows = new Map<string, Row>();
  readonly moves = new Map<string, Move>();
  readonly leases = new Map<string, Lease>();
  readonly marks = new Map<string, HostMark>();
  readonly flaws: ReadonlySet<StoreFlaw>;

  constructor(flaws: readonly StoreFlaw[] = []) {
    this.flaws = new Set(flaws);
  }

  add(request: FleetRequest): void {
    this.rows.set(request.id, { request, cancel: 'no', dueAtMs: 0, version: 0 });
    this.admission += 1;
    if (request.ask.kind === 'roll') return;
    for (const host of request.ask.hosts) this.marks.set(host, { host, drainingFor: request.id });
  }

  cancel(id: string, how: Cancel): void {
    const row = this.rows.get(id);
    if (row !== undefined) row.cancel = how;
  }

  async acquire(owner: string, leaseMs: number): Promise<Claim | undefined> {
    const due = [...this.rows.values()].find(({ request, dueAtMs }) => {
      const lease = this.leases.get(request.id);
      const isFree = lease === undefined || lease.untilMs <= this.nowMs;
      return isFree && !isRequestEnd(request.phase) && dueAtMs <= this.nowMs;
    });
    return due === undefined ? undefined : this.#claim(due.request.id, owner, leaseMs);
  }

  async advance(claim: Claim, leaseMs: number): Promise<Claim | undefined> {
    return this.#isOwn(claim) ? this.#claim(claim.request, claim.owner, leaseMs) : undefined;
  }

  async view(claim: Claim, leaseMs: number): Promise<RequestView | undefined> {
    const row = this.rows.get(claim.request);
    if (row === undefined || !this.#isOwn(claim)) return undefined;
    const untilMs = this.leases.get(claim.request)?.untilMs ?? 0;
    if (untilMs - this.nowMs < leaseMs / 2) await this.renew(claim, leaseMs);
    const own = [...this.moves.values()].filter(({ request }) => request === claim.request);
    return structuredClone({
      request: row.request,
      moves: own.filter(({ settled }) => !settled),
      cancel: row.cancel,
      world: {
        nowMs: this.nowMs,
        marks: this.marks,
        reservations: this.reservations(),
        limits: this.limits,
        others: [...this.rows.values()].map(({ request }) => ({
          request: request.id,
          priority: request.ask.priority,
          running: [...this.moves.values()].filter(
            (each) => each.request === request.id && isOpen(each.phase),
          ).length,
          waiting: request.queue.filter(({ waitsFor }) => waitsFor === 'fleet-limit').length,
        })),
      },
      admission: this.admission,
      version: row.version,
    });
  }

  async renew(claim: Claim, leaseMs: number): Promise<boolean> {
    const lease = this.leases.get(claim.request);
    if (lease === undefined || !this.#isOwn(claim)) return false;
    lease.untilMs = this.nowMs + leaseMs;
    return true;
  }

  async renewAll(claims: readonly Claim[], leaseMs: number): Promise<void> {
    for (const each of claims) await this.renew(each, leaseMs);
  }

  async commit(claim: Claim, change: Change): Promise<CommitOutcome> {
    if (!this.flaws.has('write-without-epoch') && !this.#isOwn(claim)) return 'stale';
    const row = this.rows.get(claim.request);
    if (row === undefined) return 'stale';
    const isFree = this.flaws.has('late-write') || this.flaws.has('write-without-epoch');
    if (!isFree && change.version !== row.version) return 'changed';
    if (change.admission !== undefined) {
      const isCancelled = row.cancel !== 'no' && !this.flaws.has('begin-after-cancel');
      if (isCancelled || change.admission !== this.admission) return 'changed';
      this.admission += 1;
    }
    const { begins, closes, opens } = change;
    const isLate = row.cancel !== 'no' && !this.flaws.has('begin-after-cancel');
    if (begins === true && isLate) return 'changed';
    if (closes !== undefined) {
      this.admission += 1;
      this.marks.set(closes, { host: closes, drainingFor: claim.request });
    }
    if (opens !== undefined) this.marks.set(opens, { host: opens });
    row.version += 1;
    row.request = structuredClone(change.request);
    for (const each of change.moves) this.moves.set(each.id, structuredClone(each));
    return 'written';
  }

  async release(claim: Claim, dueInMs: number): Promise<void> {
    const lease = this.leases.get(claim.request);
    const row = this.rows.get(claim.request);
    if (lease === undefined || row === undefined) return;
    if (!this.#isOwn(claim)) return;
    lease.untilMs = 0;
    row.dueAtMs = this.nowMs + dueInMs;
  }

  /** All reservations follow from the moves. */
  reservations(): Reservation[] {
    return [...this.moves.values()].flatMap((each) => reservationOf(each) ?? []);
  }

  #isOwn({ request, epoch, owner }: Claim): boolean {
    const lease = this.leases.get(request);
    return this.flaws.has('epoch-by-owner') ? lease?.owner === owner : lease?.epoch === epoch;
  }

  #claim(request: string, owner: string, leaseMs: number): Claim {
    const known = this.leases.get(request);
    const keeps = this.flaws.has('epoch-by-owner') && known?.owner === owner;
    if (!keeps) this.epoch += 1;
    const epoch = keeps ? known.epoch : this.epoch;
    this.leases.set(request, { owner, epoch, untilMs: this.nowMs + leaseMs });
    return { request, owner, epoch };
  }
}
