import { current, type Actor, type Scheduler } from './scheduler.ts';
import type { HostName } from './scenario.ts';

/** Called for each thing that a mover does with the world: as it is about to, and as it has. */
export type Passing = (process: SimProcess, edge: 'before' | 'after', what: string) => void;

/** A process of a simulated host. Once dead nothing that it does has an effect, and it hears nothing. */
export class SimProcess implements Actor {
  readonly name: string;
  readonly host: HostName;
  readonly pid: number;
  readonly scheduler: Scheduler;
  readonly #wallMs: () => number;
  readonly #passing: Passing;
  readonly #atDeath: (() => void)[] = [];
  dead = false;
  frozenUntil = 0;

  constructor(
    who: { readonly name: string; readonly host: HostName; readonly pid: number },
    scheduler: Scheduler,
    wallMs: () => number,
    passing: Passing,
  ) {
    this.name = who.name;
    this.host = who.host;
    this.pid = who.pid;
    this.scheduler = scheduler;
    this.#wallMs = wallMs;
    this.#passing = passing;
  }

  wallMs(): number {
    return this.#wallMs();
  }

  /** Runs `work` as this process. */
  run<T>(work: () => T): T {
    return current.run(this, work);
  }

  /** Called before and after each deed that the world can see; the process may be dead when it returns. */
  pass(edge: 'before' | 'after', what: string): void {
    if (!this.dead) this.#passing(this, edge, what);
  }

  atDeath(then: () => void): void {
    this.#atDeath.push(then);
  }

  /** It ends, by itself or not. */
  die(): void {
    if (this.dead) return;
    this.dead = true;
    for (const then of this.#atDeath) then();
  }
}

/** What a dead process waits for. */
export function never<T>(): Promise<T> {
  return new Promise<never>(() => {});
}
