const LOOK_MS = 30_000;
const QUIET_SHARE = 0.05;
/** Processor time since the last collection, ms. A collection takes 130 to 200 ms. */
const WORKED_MS = 1000;
/** Required growth since then. An earlier collection frees less than 2 MB of the agent's 110 (measured). */
const GROWN_BYTES = 4e6;

export interface IdleCollectionDependencies {
  readonly usedMs: () => number;
  readonly residentBytes: () => number;
  readonly collect: () => void;
}

/**
 * V8 collects garbage only when the program allocates. Once the agent has worked, has grown and is quiet again, a full
 * collection returns the pages.
 */
export class IdleCollection {
  readonly #deps: IdleCollectionDependencies;
  #lookedAtMs = 0;
  #collectedAtMs = 0;
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
  // Without UNOPTIMISED_FLAGS, as in a test, `gc` does not exist.
  collect: () => globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
};
