import type { Clock } from '../../clock.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { MoverState } from '../../protocol/mover/request.ts';
import type { MoverProcesses } from './mover-process.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';

const CHECK_MS = 1000;
/**
 * A mover stopped by SIGSTOP blocks its guest: the hypervisor may pause the guest for the switchover, and no commit
 * follows. After this time a new mover replaces it.
 */
const STOPPED_MS = 500;
const ENDED_MS = 50;
/** Failed movers in a row before an operator is informed. */
const MANY_RESTARTS = 12;
/** Pause before the second restart; it doubles up to the limit. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** A mover that lived this long did start; the count is reset. */
const LIVED_MS = 60_000;

interface Attempts {
  count: number;
  notBefore: number;
  startedAt: number;
  leftBecause?: string;
}

export class Supervisor {
  readonly #store: MigrationStore;
  readonly #movers: MoverProcesses;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #attempts = new Map<string, Attempts>();
  readonly #starting = new Map<string, Promise<MoverState>>();
  readonly #stoppedAt = new Map<string, number>();
  readonly #unreadable = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(store: MigrationStore, movers: MoverProcesses, clock: Clock, log: Log) {
    this.#store = store;
    this.#movers = movers;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    for (const migration of this.#store.all()) {
      // The agent died between request and mover; no caller was informed that anything had begun.
      const { id } = migration;
      if (!this.#store.begun(id) && this.#movers.find(migration) === undefined)
        this.#store.drop(id);
    }
    this.check();
    this.#timer = setInterval(() => this.check(), CHECK_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** The reason why a migration is stalled without a mover; undefined if it is not, or not for long. */
  leftBecause(id: string): string | undefined {
    return this.#attempts.get(id)?.leftBecause;
  }

  again(id: string): void {
    this.#attempts.delete(id);
  }

  /**
   * The running mover of a migration, even an ended one; starts one if there is none. Throws `unreadable`'s error for
   * an unreadable journal, because no mover could continue it.
   */
  async ensure(migration: Migration): Promise<MoverState> {
    const starting = this.#starting.get(migration.id);
    if (starting !== undefined) return starting;
    const found = this.#movers.find(migration);
    if (found !== undefined) return found;
    const unreadable = this.#store.unreadable(migration.id);
    if (unreadable !== undefined) throw unreadable;
    if (this.#stopped) {
      throw godwitError('GODWIT_OVERLOADED', { what: 'an agent that is stopping', limit: 0 });
    }
    const begun = this.#movers.start(migration, () => this.check());
    this.#starting.set(migration.id, begun);
    this.#count(migration.id);
    try {
      return await begun;
    } finally {
      this.#starting.delete(migration.id);
    }
  }

  check(): void {
    if (this.#stopped) return;
    for (const migration of this.#store.all()) {
      try {
        this.#look(migration);
      } catch (error) {
        this.#log.error({ id: migration.id, error }, 'migration cannot be supervised');
      }
    }
  }

  #look(migration: Migration): void {
    const { id } = migration;
    if (this.#store.isEnded(id)) {
      this.#attempts.delete(id);
      this.#stoppedAt.delete(id);
      return;
    }
    this.#movers.capLog(migration).catch((error: unknown) => {
      this.#log.warn({ id, error }, 'log of a mover not truncated');
    });
    if (this.#starting.has(id)) return;
    if (this.#isLeftAlone(migration)) return;
    const mover = this.#movers.find(migration);
    if (mover !== undefined && !this.#replaces(id, mover)) return;
    const attempts = this.#attempts.get(id);
    const now = this.#clock.monotonicMs();
    if (attempts !== undefined) {
      if (now < attempts.notBefore) return;
      if (now - attempts.startedAt > LIVED_MS) this.#attempts.delete(id);
      else if (attempts.count >= MANY_RESTARTS) this.#report(migration, attempts);
    }
    this.#log.warn({ id, count: attempts?.count ?? 0 }, 'migration has no mover: starting one');
    this.ensure(migration).catch((thrown: unknown) => {
      this.#log.error({ id, error: toGodwitError(thrown) }, 'mover did not start');
    });
  }

  /** The state is unknown: no mover is started, and a running one is not ended. */
  #isLeftAlone({ id }: Migration): boolean {
    const error = this.#store.unreadable(id);
    if (error === undefined) {
      this.#unreadable.delete(id);
      return false;
    }
    if (this.#unreadable.get(id) !== error.message) {
      this.#unreadable.set(id, error.message);
      this.#log.error({ id, error }, 'migration held: its journal cannot be read');
    }
    return true;
  }

  #report({ id, dir }: Migration, attempts: Attempts): void {
    const seconds = LONGEST_PAUSE_MS / 1000;
    const reason = `its mover ended ${attempts.count} times in a row; see mover.log in ${dir}; another is started every ${seconds} s`;
    if (attempts.leftBecause === undefined) {
      this.#log.error({ id, reason }, 'migration stalled: its movers end at once');
    }
    attempts.leftBecause = reason;
  }

  /** Tells whether an existing mover must be replaced. It is killed first, because two movers must never run. */
  #replaces(id: string, mover: MoverState): boolean {
    if (!this.#movers.isStopped(mover)) {
      this.#stoppedAt.delete(id);
      return false;
    }
    const now = this.#clock.monotonicMs();
    const since = this.#stoppedAt.get(id);
    if (since === undefined) {
      this.#stoppedAt.set(id, now);
      setTimeout(() => this.check(), STOPPED_MS).unref();
      return false;
    }
    if (now - since < STOPPED_MS) return false;
    this.#stoppedAt.delete(id);
    this.#log.warn({ id, pid: mover.pid }, 'stopped mover killed: another one continues');
    this.#movers.kill(mover);
    setTimeout(() => this.check(), ENDED_MS).unref();
    return false;
  }

  #count(id: string): void {
    const now = this.#clock.monotonicMs();
    const { count: before = 0, leftBecause } = this.#attempts.get(id) ?? {};
    const count = before + 1;
    const pauseMs = count < 2 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (count - 2));
    const why = leftBecause === undefined ? {} : { leftBecause };
    this.#attempts.set(id, { count, notBefore: now + pauseMs, startedAt: now, ...why });
  }
}
