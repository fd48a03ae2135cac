import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import { Poller } from '../../poller.ts';
import type { Store } from '../store/open.ts';
import { CLOSED_MS } from './host-calls.ts';
import type { HostCalls } from './ports.ts';

const LOOK_MS = 1000;
const AGAIN_MS = CLOSED_MS / 4;
/** Hosts that are called at a time. */
const AT_ONCE = 16;

export interface KeptClosedDependencies {
  readonly store: Pick<Store, 'db'>;
  readonly hosts: Pick<HostCalls, 'close' | 'open'>;
  readonly clock: Clock;
  readonly log: Log;
}

interface Kept {
  readonly request: string;
  readonly calledAtMs: number;
}

/**
 * Hosts that a request empties, or has emptied, refuse guests themselves: migrations that no controller ordered would come
 * otherwise. Each controller calls all of them; the calls change nothing when they are repeated.
 */
export class KeptClosed {
  readonly #deps: KeptClosedDependencies;
  readonly #looks: Poller;
  readonly #kept = new Map<string, Kept>();

  constructor(deps: KeptClosedDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
  }

  start(): void {
    this.#looks.start(LOOK_MS, () => this.look(), 'hosts that are drained were not kept closed');
  }

  async close(): Promise<void> {
    await this.#looks.close();
  }

  /** Looks at the marks once, and calls the hosts whose turn it is. */
  async look(): Promise<void> {
    const { store, hosts, clock } = this.#deps;
    const rows = await store.db
      .selectFrom('host_marks')
      .select(['host', 'draining_for as request'])
      .where('draining_for', 'is not', null)
      .execute();
    const marked = new Map(rows.map(({ host, request }) => [host, request ?? '']));
    const nowMs = clock.monotonicMs();
    const opened = [...this.#kept].filter(([host, { request }]) => marked.get(host) !== request);
    for (const [host] of opened) this.#kept.delete(host);
    const due = [...marked].filter(
      ([host]) => nowMs - (this.#kept.get(host)?.calledAtMs ?? -Infinity) >= AGAIN_MS,
    );
    for (const [host, request] of due) this.#kept.set(host, { request, calledAtMs: nowMs });
    // A host that does not answer is closed again at the next call: nothing is reported empty without its own answer.
    await inParts([
      ...opened.map(
        ([host, { request }]) =>
          () =>
            hosts.open(host, request),
      ),
      ...due.map(
        ([host, request]) =>
          () =>
            hosts.close(host, request),
      ),
    ]);
  }
}

async function inParts(calls: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (let at = 0; at < calls.length; at += AT_ONCE)
    await Promise.all(calls.slice(at, at + AT_ONCE).map((call) => call()));
}
