import type { Clock } from '../../clock.ts';
import type { GuestHandle } from '../../protocol/mover/handle.ts';
import { migrationRequest, type MigrationRequest } from '../../protocol/public/migration.ts';
import type { GuestMeasure, Prediction } from '../../protocol/public/prediction.ts';

/** A plan is valid for the guest for this time, ms. */
const KEPT_MS = 600_000;
/** Tolerance between two moments that were typed as the same duration, ms. */
const TYPED_MS = 2000;
const MAX = 256;

export interface KeptPlan {
  readonly prediction: Prediction;
  readonly measured: GuestMeasure;
}

interface CacheEntry {
  readonly plan: KeptPlan;
  readonly atMs: number;
  readonly moments: Moments;
}

export class PredictionCache {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #asItIs: (request: MigrationRequest) => MigrationRequest;
  readonly #kept = new Map<string, CacheEntry>();

  constructor(
    clock: Pick<Clock, 'monotonicMs'>,
    asItIs: (request: MigrationRequest) => MigrationRequest = (request) => request,
  ) {
    this.#clock = clock;
    this.#asItIs = asItIs;
  }

  /**
   * Keeps a plan; not for a guest without a handle, which identifies the guest's process. `atMs`: monotonic time of the
   * plan's request.
   */
  keep(
    request: MigrationRequest,
    handle: GuestHandle | undefined,
    plan: KeptPlan,
    atMs: number = this.#clock.monotonicMs(),
  ): void {
    if (handle === undefined) return;
    const { name, moments } = namesOf(this.#asItIs(request), handle);
    this.#kept.delete(name);
    this.#kept.set(name, { plan, moments, atMs });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** Returns the plan of this request and this process once: the guest is elsewhere after the migration. */
  take(request: MigrationRequest, handle: GuestHandle): KeptPlan | undefined {
    const { name, moments } = namesOf(this.#asItIs(request), handle);
    const found = this.#kept.get(name);
    if (found === undefined) return undefined;
    const passedMs = this.#clock.monotonicMs() - found.atMs;
    if (!areAlike(found.moments, moments, passedMs)) return undefined;
    this.#kept.delete(name);
    return passedMs > KEPT_MS ? undefined : found.plan;
  }
}

type Moments = readonly (number | undefined)[];

/** Equal for equal requests, with defaults filled in. A restarted guest has another handle. */
function namesOf(
  request: MigrationRequest,
  handle: GuestHandle,
): { readonly name: string; readonly moments: Moments } {
  const { notBefore, deadlineAt, ...rest } = migrationRequest.parse(request);
  const moments = [notBefore, deadlineAt].map((moment) =>
    moment === undefined ? undefined : Date.parse(moment),
  );
  return { name: JSON.stringify([rest, handle]), moments };
}

/** Compares moments, allowing for the time that has passed: `5m` is another moment each time it is typed. */
function areAlike(some: Moments, others: Moments, passedMs: number): boolean {
  return some.every((moment, at) => {
    const other = others[at];
    if (moment === undefined || other === undefined) return moment === other;
    return moment === other || Math.abs(other - moment - passedMs) <= TYPED_MS;
  });
}
