import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { ERRORS } from '../src/errors.ts';
import { runCommand } from '../lab/command.ts';
import type { Lab } from '../lab/state.ts';
import { report, type Mode, type Report } from '../src/protocol/public/migration.ts';

const PROGRAM = path.resolve(import.meta.dirname, '..', 'godwit');
const MOVE_MS = 180_000;
const PLAN_MS = 60_000;

export interface CommandMove {
  readonly guest: string;
  readonly to: string;
  /** `none`: `words` say how. */
  readonly mode?: Mode | 'none';
  /** Further words of the command line. */
  readonly words?: readonly string[];
  readonly deadlineMs?: number;
}

export interface CommandRun {
  readonly report: Report;
  /** Wall clock right before the process was started, ms. */
  readonly spawnedAtMs: number;
  /** From there until it had ended, ms. */
  readonly wallMs: number;
}

/** `godwit migrate --dry-run` of that very migration, as JSON: what it says is in the report of the migration after it. */
export function godwitPlan(
  lab: Lab,
  { guest, to, mode = 'precopy', words = [] }: CommandMove,
  signal: AbortSignal,
): Promise<string> {
  const argv = [PROGRAM, 'migrate', guest, '--to', to, '--dry-run', '--mode', mode, ...words];
  return runCommand([...argv, '--lab', lab.name, '--json'], { deadlineMs: PLAN_MS, signal });
}

/** `godwit migrate`, as a user types it. Rejects unless the guest has moved. */
export async function godwitMigrate(
  lab: Lab,
  { guest, to, mode = 'precopy', words = [], deadlineMs = MOVE_MS }: CommandMove,
  signal: AbortSignal,
): Promise<CommandRun> {
  const how = mode === 'none' ? [] : ['--mode', mode];
  const argv = [PROGRAM, 'migrate', guest, '--to', to, ...how, ...words];
  const spawnedAtMs = systemClock.wallMs();
  const start = systemClock.monotonicMs();
  const output = await runCommand([...argv, '--lab', lab.name, '--json'], {
    deadlineMs,
    signal,
  });
  const wallMs = systemClock.monotonicMs() - start;
  const reported = report.parse(JSON.parse(output));
  if (reported.outcome !== 'done') {
    throw new Error(
      `moving ${guest} to ${to} ended as ${reported.outcome}: ${reported.error?.message ?? ''}`,
    );
  }
  return { report: reported, spawnedAtMs, wallMs };
}

/** What `godwit migrate` prints where the guest's memory did not come across in time; its facts are left out. */
const UNMOVED = (['GODWIT_NOT_CONVERGED', 'GODWIT_GIVEN_UP'] as const).map(
  (code) => new RegExp(ERRORS[code].message.replaceAll(/\{\w+\}/g, '.+')),
);

/** Whether a move failed since its guest did not converge, and not by a fault. */
export function isUnmoved(thrown: unknown): boolean {
  return UNMOVED.some((pattern) => pattern.test(String(thrown)));
}

/** Where a blackout went, as the report says; empty where it says nothing. */
export function blackoutWords({ blackoutParts = [] }: Report): string {
  return blackoutParts.map(({ part, ms }) => `${part} ${ms.toFixed(0)}`).join(', ');
}
