import type { Result } from './run.ts';
import type { Scenario } from './scenario.ts';

export interface RuleViolation {
  readonly seed: number;
  readonly rule: string;
}

/** What many runs came to. */
export class Tally {
  runs = 0;
  ms = 0;
  virtualMs = 0;
  readonly outcomes = new Map<string, number>();
  readonly modes = new Map<string, number>();
  /** How often each fault struck something. */
  readonly faults = new Map<string, number>();
  readonly violations: RuleViolation[] = [];
  /** Guests that a host recovered. */
  recovered = 0;
  /** Held migrations that an operator resolved. */
  resolved = 0;

  add(seed: number, { mode }: Scenario, result: Result): void {
    this.runs += 1;
    this.virtualMs += result.virtualMs;
    count(this.outcomes, result.outcome);
    count(this.modes, mode);
    this.recovered += result.recoveredAt.length;
    if (result.wasResolved) this.resolved += 1;
    for (const kind of result.struck.kinds) count(this.faults, kind);
    if (result.violation !== undefined) {
      this.violations.push({ seed, rule: result.violation.rule });
    }
  }

  get perMinute(): number {
    return this.ms === 0 ? 0 : Math.round((this.runs / this.ms) * 60_000);
  }

  toJSON(): object {
    const { runs, ms, virtualMs, perMinute, recovered, resolved, violations } = this;
    return {
      ok: violations.length === 0,
      runs,
      ms: Math.round(ms),
      perMinute,
      virtualHours: Math.round(virtualMs / 3_600_000),
      recovered,
      resolved,
      outcomes: sorted(this.outcomes),
      modes: sorted(this.modes),
      faults: sorted(this.faults),
      violations,
    };
  }
}

function count(into: Map<string, number>, name: string): void {
  into.set(name, (into.get(name) ?? 0) + 1);
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].toSorted(([, one], [, other]) => other - one));
}
