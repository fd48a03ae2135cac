import type { Mode } from '../../protocol/public/migration.ts';
import type { SteeringStrategy } from '../../protocol/public/steering.ts';

/** Throttle order for a manager that can only throttle by itself. Pure. */

export interface OwnThrottle {
  /** Percent. */
  readonly initial: number;
  readonly increment: number;
}

/**
 * Throttle steps of the manager. Undefined if the strategy forbids it, or changes to post-copy before (never in mode
 * `precopy`). A manager ignores the last step, so steering checks the observed value (`isBeyondThrottle`).
 */
export function ownThrottle(
  { measures, throttlePercents }: Pick<SteeringStrategy, 'measures' | 'throttlePercents'>,
  mode: Mode,
): OwnThrottle | undefined {
  const at = measures.indexOf('throttle');
  const [initial] = throttlePercents;
  const isAfterPostcopy = mode !== 'precopy' && measures.slice(0, at).includes('postcopy');
  if (at < 0 || initial === undefined || isAfterPostcopy) return undefined;
  const steps = throttlePercents.map(
    (percent, index) => percent - (throttlePercents[index - 1] ?? 0),
  );
  return { initial, increment: Math.max(1, Math.min(...steps)) };
}

export function isBeyondThrottle(
  { throttlePercents }: Pick<SteeringStrategy, 'throttlePercents'>,
  throttlePercent = 0,
): boolean {
  return throttlePercent > Math.max(0, ...throttlePercents);
}
