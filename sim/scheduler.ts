import { AsyncLocalStorage } from 'node:async_hooks';

/** Who does something: its jobs wait while it is frozen, and are dropped once it is dead. */
export interface Actor {
  readonly name: string;
  readonly dead: boolean;
  readonly frozenUntil: number;
  /** The wall clock of its host, ms since 1970. */
  wallMs(): number;
  readonly scheduler: Scheduler;
}

/** On whose behalf the code that runs now runs; nobody outside simulated processes. */
export const current = new AsyncLocalStorage<Actor | undefined>();

export interface Job {
  at: number;
  readonly order: number;
  readonly actor: Actor | undefined;
  readonly run: () => void;
  over: boolean;
}

// Kept from before the stand-ins: it lets all promises settle between two jobs.
const settle = setImmediate;

/** Virtual time: one job after another in order of time, the next only when nothing else can run. */
export class Scheduler {
  /** ms since the run began. */
  now = 0;
  jobs = 0;
  readonly #heap: Job[] = [];
  #order = 0;

  after(ms: number, actor: Actor | undefined, run: () => void): Job {
    const at = this.now + (Number.isFinite(ms) ? Math.max(0, ms) : 0);
    const job = { at, order: this.#order++, actor, run, over: false };
    this.#push(job);
    return job;
  }

  cancel(job: Job): void {
    job.over = true;
  }

  /** Runs until `done`, or until nothing is left, or `limitMs` is reached; `each` is called after every job. */
  async run(done: () => boolean, limitMs: number, each: () => void): Promise<void> {
    while (!done()) {
      const job = this.#pop();
      if (job === undefined) return;
      if (job.over || job.actor?.dead === true) continue;
      const frozenUntil = job.actor?.frozenUntil ?? 0;
      if (frozenUntil > job.at) {
        job.at = frozenUntil;
        this.#push(job);
        continue;
      }
      if (job.at > limitMs) return;
      this.now = job.at;
      this.jobs += 1;
      job.over = true;
      current.run(job.actor, job.run);
      await new Promise<void>((resolve) => settle(resolve));
      each();
    }
  }

  #push(job: Job): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(job);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !before(job, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = job;
  }

  #pop(): Job | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const one = heap[left];
      if (one === undefined) break;
      const other = heap[left + 1];
      const right = other !== undefined && before(other, one);
      const child = right ? other : one;
      if (!before(child, last)) break;
      heap[at] = child;
      at = right ? left + 1 : left;
    }
    heap[at] = last;
    return first;
  }
}

function before(one: Job, other: Job): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
