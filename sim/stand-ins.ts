import { current, type Actor, type Job } from './scheduler.ts';

/**
 * Time as a simulated process sees it: the global timers and clocks, ruled by its run's scheduler. Whoever else asks
 * (the test runner, the command itself) gets the real ones.
 */

class SimTimer {
  readonly #actor: Actor;
  readonly #everyMs: number | undefined;
  readonly #run: () => void;
  #job: Job;

  constructor(actor: Actor, ms: number, run: () => void, repeats: boolean) {
    this.#actor = actor;
    this.#everyMs = repeats ? Math.max(1, ms) : undefined;
    this.#run = run;
    this.#job = this.#begin(ms);
  }

  #begin(ms: number): Job {
    return this.#actor.scheduler.after(ms, this.#actor, () => {
      if (this.#everyMs !== undefined) this.#job = this.#begin(this.#everyMs);
      this.#run();
    });
  }

  stop(): void {
    this.#actor.scheduler.cancel(this.#job);
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}

type Callback = (...given: unknown[]) => void;

let standing = false;

/** Puts the stand-ins in place, once. */
export function standIn(): void {
  if (standing) return;
  standing = true;
  timer('setTimeout', setTimeout, false);
  timer('setInterval', setInterval, true);
  const immediate = setImmediate;
  replace(globalThis, 'setImmediate', (run: Callback, ...given: unknown[]) => {
    const actor = current.getStore();
    if (actor === undefined) return immediate(run, ...given);
    return new SimTimer(actor, 0, () => run(...given), false);
  });
  for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate'] as const) {
    const real = globalThis[name] as (what: unknown) => void;
    replace(globalThis, name, (what: unknown) => {
      if (what instanceof SimTimer) what.stop();
      else real(what);
    });
  }
  const monotonicMs = performance.now.bind(performance);
  replace(performance, 'now', () => current.getStore()?.scheduler.now ?? monotonicMs());
  const wallMs = Date.now;
  replace(Date, 'now', () => current.getStore()?.wallMs() ?? wallMs());
  const over = AbortSignal.timeout.bind(AbortSignal);
  replace(AbortSignal, 'timeout', (ms: number) => {
    if (current.getStore() === undefined) return over(ms);
    const own = new AbortController();
    const reason = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
    setTimeout(() => own.abort(reason), ms);
    return own.signal;
  });
}

function timer(
  name: 'setTimeout' | 'setInterval',
  real: (run: Callback, ms?: number, ...given: unknown[]) => unknown,
  repeats: boolean,
): void {
  replace(globalThis, name, (run: Callback, ms = 0, ...given: unknown[]) => {
    const actor = current.getStore();
    if (actor === undefined) return real(run, ms, ...given);
    return new SimTimer(actor, ms, () => run(...given), repeats);
  });
}

function replace(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
}
