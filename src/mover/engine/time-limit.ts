import type { Clock } from '../../clock.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';

/** What bounds a migration, and when it began, where it has waited for that. */
interface LimitedMigration {
  readonly plan: { readonly settings: Pick<MigrationSettings, 'timeoutMs' | 'deadlineAt'> };
  readonly known: { readonly beganAtMs?: number | undefined };
}

/**
 * Until the time that a migration was given is over, ms; a clock that was set back gives no more. It runs from when it
 * began, what it waited for before left out. Moments are wall clock.
 */
export function leftOf(
  { plan, known }: LimitedMigration,
  askedAtMs: number,
  nowMs: number,
): number {
  const { timeoutMs, deadlineAt } = plan.settings;
  const beganAtMs = known.beganAtMs ?? askedAtMs;
  const untilMs = deadlineAt === undefined ? Infinity : Date.parse(deadlineAt) - nowMs;
  return Math.min(timeoutMs - Math.max(0, nowMs - beganAtMs), untilMs);
}

/** The wall clock may be set, and a host may sleep: it is looked at so often, ms. */
const LOOK_MS = 10_000;

/** Waits until the wall clock says so. */
export async function untilMoment(
  momentMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const leftMs = momentMs - clock.wallMs();
    if (leftMs <= 0) return;
    await clock.sleep(Math.min(leftMs, LOOK_MS), signal);
  }
}

/** What a step's work comes to where nobody asks. */
export function nothing(): void {
  // The event of a step has reported what its work came to.
}

/** Resolves with the promise, or after `limitMs` without it. */
export async function within(limitMs: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([promise, over]);
  clearTimeout(timer);
}
