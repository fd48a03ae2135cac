import type { Clock } from '../../clock.ts';
import { migrationRequest } from '../../protocol/public/migration.ts';
import type { MigrationRequest } from '../../protocol/public/migration.ts';
import type { Prediction } from '../../protocol/public/prediction.ts';

/** Older than this it says nothing about the guest any more, ms. */
const KEPT_MS = 600_000;
/** Beyond these the oldest is forgotten. */
const MOST = 256;

/** What the latest plans said, for the reports of the migrations that follow them. */
export class PredictionCache {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #kept = new Map<string, { readonly prediction: Prediction; readonly atMs: number }>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  keep(request: MigrationRequest, prediction: Prediction): void {
    const name = nameOf(request);
    this.#kept.delete(name);
    this.#kept.set(name, { prediction, atMs: this.#clock.monotonicMs() });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** Of this very request, once: the guest is elsewhere after it. */
  take(request: MigrationRequest): Prediction | undefined {
    const name = nameOf(request);
    const found = this.#kept.get(name);
    this.#kept.delete(name);
    if (found === undefined || this.#clock.monotonicMs() - found.atMs > KEPT_MS) return undefined;
    return found.prediction;
  }
}

/** The same for the same request, with what it leaves out filled in. */
function nameOf(request: MigrationRequest): string {
  return JSON.stringify(migrationRequest.parse(request));
}
