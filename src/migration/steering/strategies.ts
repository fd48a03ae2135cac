import type { MigrationSettings } from '../../protocol/public/migration.ts';
import {
  steeringStrategy,
  strategyNamed,
  type SteeringStrategy,
} from '../../protocol/public/steering.ts';

const PRECOPY = steeringStrategy.parse({ name: 'precopy' });
const POSTCOPY = steeringStrategy.parse({
  name: 'postcopy',
  measures: ['postcopy'],
  precopyRounds: 0,
});
/** Hybrid's rounds, with an earlier post-copy if another round gains nothing. */
const HYBRID = steeringStrategy.parse({
  name: 'hybrid',
  measures: ['postcopy'],
  stalledRounds: 20,
});

export function strategyOf({
  steering,
  mode,
  hybridRounds,
}: Pick<MigrationSettings, 'steering' | 'mode' | 'hybridRounds'>): SteeringStrategy {
  if (steering !== undefined) return strategyNamed(steering);
  switch (mode) {
    case 'precopy':
    case 'cold':
      return PRECOPY;
    case 'postcopy':
      return POSTCOPY;
    case 'hybrid':
      return { ...HYBRID, precopyRounds: hybridRounds };
  }
}

/** True if throttling must be set up before memory moves. */
export function mayThrottle(strategy: Pick<SteeringStrategy, 'measures'>): boolean {
  return strategy.measures.includes('throttle');
}
