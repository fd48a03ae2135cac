import type { Clock } from '../clock.ts';
import type { AgentConfig } from '../config.ts';
import { removeProbePort, removeWatchPorts } from '../network/segment/probe-port.ts';
import type { WatchAnswer, WatchEnd, WatchOrder, WatchResult } from '../protocol/peer/vantage.ts';
import type { Caller } from '../rpc/caller.ts';
import { watcherProcess } from './watcher-process.ts';
import type { StartWatcher, WatcherProcess } from './watcher-process.ts';

/** Watches at once on a host; what is beyond is refused. */
const MOST_WATCHES = 8;
/** Results that are kept for whoever asks again; the oldest goes first. */
const MOST_RESULTS = 64;

/** What this host watches for others: guests that they move, each in a small process of its own. */
export class Vantage {
  readonly #config: AgentConfig;
  readonly #clock: Clock;
  readonly #start: StartWatcher;
  readonly #watches = new Map<string, WatcherProcess>();
  readonly #results = new Map<string, Promise<WatchResult>>();

  constructor(config: AgentConfig, clock: Clock, start: StartWatcher = watcherProcess) {
    this.#config = config;
    this.#clock = clock;
    this.#start = start;
  }

  /** Nothing is left of watches that ended with an agent that was killed. */
  async sweep(): Promise<void> {
    if (this.#config.network.vantage !== false) await removeWatchPorts();
  }

  /** Begins a watch, or lets it go on. */
  watch(order: WatchOrder, caller: Caller): WatchAnswer {
    const { name, network, bridges } = this.#config;
    const key = keyOf(order.id, caller);
    const standing = this.#watches.get(key);
    standing?.stay(order.leaseMs);
    if (standing !== undefined || this.#results.has(key))
      return { watching: true, wallMs: this.#clock.wallMs() };
    if (network.vantage === false) return no(`${name} watches for nobody, as it is configured`);
    if (this.#watches.size >= MOST_WATCHES)
      return no(`${name} watches ${MOST_WATCHES} guests already`);
    const { nics, probing, leaseMs } = order;
    const process = this.#start({ verb: 'watch', owner: key, nics, bridges, probing, leaseMs });
    this.#watches.set(key, process);
    void process.gone.then(async () => {
      this.#watches.delete(key);
      this.#keep(key, process.result);
      await removeProbePort(key, 'w');
    });
    return { watching: true, wallMs: this.#clock.wallMs() };
  }

  /** What was seen; said again where it was told before. */
  async end(id: string, of: WatchEnd, caller: Caller): Promise<WatchResult> {
    const key = keyOf(id, caller);
    const told = this.#results.get(key);
    if (told !== undefined) return told;
    const standing = this.#watches.get(key);
    if (standing === undefined) return { notTried: 'nothing was being watched there any more' };
    const result = standing.end(of);
    this.#keep(key, result);
    return result;
  }

  #keep(key: string, result: Promise<WatchResult>): void {
    if (!this.#results.has(key)) this.#results.set(key, result);
    const [oldest] = this.#results.keys();
    if (this.#results.size > MOST_RESULTS && oldest !== undefined) this.#results.delete(oldest);
  }

  /** Ends all of them; what they saw is told to nobody. */
  close(): void {
    for (const each of this.#watches.values()) each.stop();
  }
}

const no = (why: string): WatchAnswer => ({ watching: false, why });

/** A host speaks of its own migrations, and of nobody else's. */
function keyOf(id: string, caller: Caller): string {
  return `${caller.name}/${id}`;
}
