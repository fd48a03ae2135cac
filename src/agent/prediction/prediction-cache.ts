import type { Clock } from '../../clock.ts';
import type { GuestHandle } from '../../protocol/mover/handle.ts';
import { migrationRequest, type MigrationRequest } from '../../protocol/public/migration.ts';
import type { GuestMeasure, Prediction } from '../../protocol/public/prediction.ts';

/** Older than this it says nothing about the guest any more, ms. */
const KEPT_MS = 600_000;
/** So much more or less may pass between a command that is typed and the look at its request, ms. */
const TYPED_MS = 2000;
/** Beyond these the oldest is forgotten. */
const MAX = 256;

/** A plan of which the migration that follows it makes use. */
export interface KeptPlan {
  /** For its report. */
  readonly prediction: Prediction;
  /** By which `--path auto` chooses. */
  readonly measured: GuestMeasure;
}

interface CacheEntry {
  readonly plan: KeptPlan;
  readonly atMs: number;
  readonly moments: Moments;
}

/** What the latest plans said, and what they had measured. */
export class PredictionCache {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** A request as it is carried out now, within what its host allows. */
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
   * `handle`: of the guest as it lived then; what is known of no life of it is not kept. `atMs`: when the plan was asked for,
   * monotonic.
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

  /** Of this very request and this life of the guest, once: the guest is elsewhere after it. */
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

/** Wall clock, ms; undefined where the request has none. */
type Moments = readonly (number | undefined)[];

/** The same for the same request, with what it leaves out filled in. A guest that was started anew has another handle. */
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

/** The same moments, or later by the time that has passed: `5m` from now is another moment each time that it is typed. */
function areAlike(some: Moments, others: Moments, passedMs: number): boolean {
  return some.every((moment, at) => {
    const other = others[at];
    if (moment === undefined || other === undefined) return moment === other;
    return moment === other || Math.abs(other - moment - passedMs) <= TYPED_MS;
  });
}
