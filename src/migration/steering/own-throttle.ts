import type { Mode } from '../../protocol/public/migration.ts';
import type { SteeringStrategy } from '../../protocol/public/steering.ts';

/** What a manager gets along that can slow a guest down only by itself, from its order on. Pure. */

export interface OwnThrottle {
  /** Percent. */
  readonly initial: number;
  readonly increment: number;
}

/**
 * The steps in which it may slow the guest down; undefined where the strategy may not, or goes over to post-copy before
 * that, which the mode `precopy` never does. Its last step is no bound to a manager: the steering goes by what it sees
 * (`isBeyondThrottle`).
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

/** The guest is slowed down by more than the strategy may. */
export function isBeyondThrottle(
  { throttlePercents }: Pick<SteeringStrategy, 'throttlePercents'>,
  throttlePercent = 0,
): boolean {
  return throttlePercent > Math.max(0, ...throttlePercents);
}
