/** Between two looks at how busy the agent is. */
const LOOK_MS = 30_000;
/** Quiet is what has used less of a core than this since the look before. */
const QUIET_SHARE = 0.05;
/** Of processor since garbage was collected last, ms: a collection takes 130 to 200 of it. */
const WORKED_MS = 1000;
/** By which the agent has to have grown since then. Collected sooner, it gives back less than 2 MB of its 110 (measured). */
const GROWN_BYTES = 4e6;

export interface IdleCollectionDependencies {
  /** Processor time of this process so far, ms. */
  readonly usedMs: () => number;
  readonly residentBytes: () => number;
  readonly collect: () => void;
}

/**
 * V8 collects garbage only when the program asks for memory: an agent that rests keeps what it took to start, and what the
 * last burst of requests left. Once it has worked, has grown and is quiet again, all of that is collected, and the pages go back.
 */
export class IdleCollection {
  readonly #deps: IdleCollectionDependencies;
  #lookedAtMs = 0;
  #collectedAtMs = 0;
  /** After the collection before; none was yet. */
  #restedBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: IdleCollectionDependencies = thisProcess) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  look(): void {
    const usedMs = this.#deps.usedMs();
    const isQuiet = usedMs - this.#lookedAtMs < LOOK_MS * QUIET_SHARE;
    this.#lookedAtMs = usedMs;
    if (!isQuiet || usedMs - this.#collectedAtMs < WORKED_MS) return;
    if (this.#deps.residentBytes() < this.#restedBytes + GROWN_BYTES) return;
    this.#deps.collect();
    this.#collectedAtMs = usedMs;
    this.#restedBytes = this.#deps.residentBytes();
  }
}

const thisProcess: IdleCollectionDependencies = {
  usedMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  residentBytes: () => process.memoryUsage.rss(),
  // Without UNOPTIMISED_FLAGS, as in a test, there is no such function.
  collect: () => globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
};
