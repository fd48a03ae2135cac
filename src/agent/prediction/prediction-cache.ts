import type { Clock } from '../../clock.ts';
import { migrationRequest } from '../../protocol/public/migration.ts';
import type { MigrationRequest } from '../../protocol/public/migration.ts';
import type { GuestMeasure, Prediction } from '../../protocol/public/prediction.ts';

/** Older than this it says nothing about the guest any more, ms. */
const KEPT_MS = 600_000;
/** Beyond these the oldest is forgotten. */
const MOST = 256;

/** A plan of which the migration that follows it makes use. */
export interface KeptPlan {
  /** For its report. */
  readonly prediction: Prediction;
  /** By which `--path auto` chooses. */
  readonly measured: GuestMeasure;
}

/** What the latest plans said, and what they had measured. */
export class PredictionCache {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #kept = new Map<string, { readonly plan: KeptPlan; readonly atMs: number }>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  keep(request: MigrationRequest, plan: KeptPlan): void {
    const name = nameOf(request);
    this.#kept.delete(name);
    this.#kept.set(name, { plan, atMs: this.#clock.monotonicMs() });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** Of this very request, once: the guest is elsewhere after it. */
  take(request: MigrationRequest): KeptPlan | undefined {
    const name = nameOf(request);
    const found = this.#kept.get(name);
    this.#kept.delete(name);
    if (found === undefined || this.#clock.monotonicMs() - found.atMs > KEPT_MS) return undefined;
    return found.plan;
  }
}

/** The same for the same request, with what it leaves out filled in. */
function nameOf(request: MigrationRequest): string {
  return JSON.stringify(migrationRequest.parse(request));
}
