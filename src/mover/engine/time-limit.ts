import type { Clock } from '../../clock.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';

interface LimitedMigration {
  readonly plan: { readonly settings: Pick<MigrationSettings, 'timeoutMs' | 'deadlineAt'> };
  readonly known: { readonly beganAtMs?: number | undefined };
}

/** Remaining time of a migration, without earlier waits, ms. Setting the wall clock back gives no extra time. */
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

/** Interval between wall clock checks, ms; the clock may be set, and a host may sleep. */
const LOOK_MS = 10_000;

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

export function nothing(): void {
  // The step's event has reported the result.
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
