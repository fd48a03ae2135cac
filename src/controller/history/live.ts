import type { Clock } from '../../clock.ts';
import { NOTHING, percentAfter, type PercentState } from '../../migration/percent.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import type { FleetMigration } from '../../protocol/controller/history.ts';
import { defined } from '../../protocol/defined.ts';
import { isEnd, type Progress } from '../../protocol/public/migration.ts';
import type { Api } from '../../rpc/client.ts';

export interface LiveDependencies {
  readonly clock: Clock;
  readonly agentAt: (host: string) => Api<typeof agentContract> | undefined;
  readonly publish: (news: FleetNews) => void;
  readonly signal: AbortSignal;
}

/** Pause between questions about one migration; with a thousand moving guests each is asked rarely. */
const EACH_MS = 1000;
const POLLS = 25;
/** Limit per host, so that one that does not answer leaves most places to others. */
const POLLS_OF_A_HOST = 5;
const ANSWER_MS = 2000;
const MAX = 10_000;
const MAX_OF_A_HOST = 256;

interface Open {
  readonly host: string;
  readonly migration: FleetMigration;
  readonly shown: PercentState;
  readonly askedMs: number;
}

export class Live {
  readonly #deps: LiveDependencies;
  readonly #open = new Map<string, Open>();
  readonly #asked = new Map<string, string>();
  readonly #answers = new Set<Promise<void>>();

  constructor(deps: LiveDependencies) {
    this.#deps = deps;
  }

  has(host: string, id: string): boolean {
    return this.#open.has(keyOf(host, id));
  }

  of(host: string, id: string): Pick<FleetMigration, 'percent' | 'step'> {
    const { percent, step } = this.#open.get(keyOf(host, id))?.migration ?? {};
    return {
      ...defined({ percent, step }),
    };
  }

  began(host: string, migration: FleetMigration): void {
    const key = keyOf(host, migration.id);
    if (this.#open.has(key) || this.#open.size >= MAX) return;
    const own = [...this.#open.values()].filter((each) => each.host === host);
    if (own.length >= MAX_OF_A_HOST) return;
    this.#open.set(key, { host, migration, shown: NOTHING, askedMs: -Infinity });
  }

  ended(host: string, id: string): void {
    this.#open.delete(keyOf(host, id));
  }

  left(host: string): void {
    for (const [key, open] of this.#open) if (open.host === host) this.#open.delete(key);
  }

  /** Progress counts only from the host that reports the migration. */
  heard(host: string, progress: Progress): void {
    const key = keyOf(host, progress.id);
    const open = this.#open.get(key);
    if (open === undefined || isEnd(progress.phase)) return;
    const { migration } = open;
    const shown = percentAfter(open.shown, progress);
    if (shown.percent === migration.percent && progress.phase === migration.step) return;
    const next = { ...migration, percent: shown.percent, step: progress.phase };
    this.#open.set(key, { ...open, shown, migration: next });
    this.#deps.publish({ type: 'migration', what: 'progress', migration: next });
  }

  poll(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const [key, open] of this.#open) {
      if (this.#asked.size >= POLLS) return;
      if (this.#asked.has(key) || nowMs - open.askedMs < EACH_MS) continue;
      const sameHost = [...this.#asked.values()].filter((host) => host === open.host);
      if (sameHost.length >= POLLS_OF_A_HOST) continue;
      this.#open.delete(key);
      this.#open.set(key, { ...open, askedMs: nowMs });
      this.#asked.set(key, open.host);
      const answer = this.#ask(open.migration.id, open.host).finally(() => {
        this.#asked.delete(key);
        this.#answers.delete(answer);
      });
      this.#answers.add(answer);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#answers);
  }

  async #ask(id: string, host: string): Promise<void> {
    const { agentAt, signal } = this.#deps;
    try {
      const options = { signal, deadlineMs: ANSWER_MS };
      const progress = await agentAt(host)?.migration({ params: { id } }, options);
      if (progress?.id === id) this.heard(host, progress);
    } catch {
      // The host's silence is reported elsewhere, and its list will show the end.
    }
  }
}

const keyOf = (host: string, id: string): string => `${host} ${id}`;
