import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { AuditMeans } from '../../protocol/controller/audit.ts';
import { networkOf } from '../../rpc/identity.ts';
import type { Caller } from '../../rpc/caller.ts';
import type { RecordedRequest, RequestRecord } from '../../rpc/record.ts';
import { AuditRows, type AuditPolicy, type NewAuditRow } from '../store/audit.ts';
import type { Store } from '../store/store.ts';
import { keptArguments } from './arguments.ts';
import { callerKey } from './retention.ts';

export interface AuditDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: AuditPolicy;
  readonly name: string;
  readonly dropped?: () => void;
}

export interface SessionChange {
  readonly who: string;
  readonly role: string;
  readonly by: AuditMeans;
  readonly from: string | undefined;
  readonly what: string;
  readonly route: string;
  readonly facts?: object;
}

const OK = 'ok';
const PRUNE_EVERY_MS = 3_600_000;
const PRUNE_EVERY_ROWS = 1000;
const MAX_WRITING = 64;
/** Refused reads that are kept: the caller had no right to read. */
const WITHOUT_RIGHT: ReadonlySet<string> = new Set([
  'GODWIT_ROLE_FORBIDDEN',
  'GODWIT_TOKEN_REFUSED',
]);

/** Records each change and its caller before it is carried out, and refuses a change that cannot be recorded. */
export class Audit implements RequestRecord {
  readonly #deps: AuditDependencies;
  readonly #rows: AuditRows;
  /** Separate budgets, so that strangers cannot hide what a known caller attempts. */
  readonly #budgets = { strangers: new RefusedBudget(), known: new RefusedBudget() };
  readonly #writing = new Set<Promise<void>>();
  #isBehind = false;
  #written = 0;
  #prunedMs = -Infinity;

  constructor(deps: AuditDependencies) {
    this.#deps = deps;
    this.#rows = new AuditRows(deps.store);
  }

  get rows(): AuditRows {
    return this.#rows;
  }

  async begin(
    request: RecordedRequest,
    input: Parameters<RequestRecord['begin']>[1],
  ): Promise<((code: string) => Promise<void>) | undefined> {
    if (!isKept(request)) return undefined;
    const row = { ...this.#rowOf(request), arguments: keptArguments(input), result: null };
    const id = await this.#write({ ...row, unkept: 0 });
    return async (result) => {
      await this.#rows.ended(id, result).catch((thrown: unknown) => {
        this.#deps.log.error({ id, result, error: toGodwitError(thrown) }, NOT_NOTED);
      });
    };
  }

  refused(request: RecordedRequest, code: string): void {
    if (!isChange(request.route) && !WITHOUT_RIGHT.has(code)) return;
    this.#refused({ ...this.#rowOf(request), arguments: null, result: code });
  }

  /** GODWIT_STORE: the entry could not be written, and the session must not change. */
  async sessionChanges({ facts, ...change }: SessionChange): Promise<void> {
    const { name: controller } = this.#deps;
    const text = facts === undefined ? null : keptArguments({ body: facts });
    const from = change.from?.slice(0, 256) ?? null;
    await this.#write({ ...change, controller, from, arguments: text, result: OK, unkept: 0 });
  }

  signInRefused(at: Pick<SessionChange, 'what' | 'route' | 'from'>, code: string): void {
    const { name: controller } = this.#deps;
    const from = at.from ?? null;
    const who = { who: from ?? 'a browser', role: 'none', by: 'none' } as const;
    this.#refused({ ...at, ...who, controller, from, arguments: null, result: code });
  }

  async settled(): Promise<void> {
    await Promise.all(this.#writing);
  }

  #refused(row: Omit<NewAuditRow, 'unkept'>): void {
    const { clock, log } = this.#deps;
    const isStranger = row.role === 'none';
    const budget = isStranger ? this.#budgets.strangers : this.#budgets.known;
    if (this.#writing.size >= MAX_WRITING) {
      budget.dropped();
      this.#drop(row);
      return;
    }
    const key = isStranger ? networkOf(row.from ?? 'this host') : callerKey(row);
    const unkept = budget.take(key, clock.monotonicMs());
    if (unkept === undefined) return;
    const writing = this.#write({ ...row, unkept })
      .then(() => {})
      .catch((thrown: unknown) => {
        log.error({ error: toGodwitError(thrown) }, 'refused attempt missing from the audit log');
      })
      .finally(() => {
        this.#writing.delete(writing);
        if (this.#writing.size === 0) this.#isBehind = false;
      });
    this.#writing.add(writing);
  }

  /** Logs once per backlog, so that a flood does not fill the log. */
  #drop({ who, what, result }: Omit<NewAuditRow, 'unkept'>): void {
    this.#deps.dropped?.();
    if (!this.#isBehind) {
      const facts = { writing: MAX_WRITING, who, what, result };
      this.#deps.log.warn(facts, 'refused attempts missing from the audit log: too many at once');
    }
    this.#isBehind = true;
  }

  #rowOf({ key, route, caller, from }: RecordedRequest) {
    const who = (caller?.role === 'none' ? from : caller?.name) ?? from ?? 'somebody';
    return {
      controller: this.#deps.name,
      who: who.slice(0, 256),
      role: caller?.role ?? 'none',
      by: meansOf(caller),
      from: from?.slice(0, 256) ?? null,
      what: key,
      route: `${route.method} ${route.path}`,
    };
  }

  async #write(row: NewAuditRow): Promise<string> {
    await this.#prune();
    const id = await this.#rows.add(row);
    this.#written += 1;
    return id;
  }

  async #prune(): Promise<void> {
    const { clock, log, policy } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#prunedMs < PRUNE_EVERY_MS && this.#written < PRUNE_EVERY_ROWS) return;
    [this.#prunedMs, this.#written] = [nowMs, 0];
    await this.#rows.prune(policy).catch((thrown: unknown) => {
      log.error({ error: toGodwitError(thrown) }, 'audit log could not be pruned');
    });
  }
}

const NOT_NOTED = 'what came of a change is not in the audit log';

const isChange = ({ method, audited }: RecordedRequest['route']): boolean =>
  method !== 'GET' && audited !== 'never';

/** A stranger's calls change nothing. */
const isKept = ({ route, caller }: RecordedRequest): boolean =>
  isChange(route) &&
  route.audited !== 'by-handler' &&
  caller !== undefined &&
  caller.role !== 'none';

function meansOf(caller: Caller | undefined): AuditMeans {
  if (caller === undefined || caller.role === 'none') return 'none';
  return caller.by ?? (caller.role === 'local' ? 'socket' : 'certificate');
}

const MINUTE_MS = 60_000;
/** Refused attempts kept per minute: of one caller (a stranger counts by network), and of all. */
export const MAX_PER_CALLER = 10;
export const MAX_PER_MINUTE = 60;

export class RefusedBudget {
  #beganMs = -Infinity;
  #kept = 0;
  #unkept = 0;
  readonly #ofCaller = new Map<string, number>();

  /** Number of earlier attempts that were not kept; undefined: this one is not kept either. */
  take(caller: string, nowMs: number): number | undefined {
    if (nowMs - this.#beganMs >= MINUTE_MS) {
      this.#beganMs = nowMs;
      this.#kept = 0;
      this.#ofCaller.clear();
    }
    const own = this.#ofCaller.get(caller) ?? 0;
    if (own >= MAX_PER_CALLER || this.#kept >= MAX_PER_MINUTE) {
      this.#unkept += 1;
      return undefined;
    }
    this.#kept += 1;
    this.#ofCaller.set(caller, own + 1);
    const unkept = this.#unkept;
    this.#unkept = 0;
    return unkept;
  }

  dropped(): void {
    this.#unkept += 1;
  }
}
