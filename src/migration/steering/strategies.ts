import type { MigrationSettings } from '../../protocol/public/migration.ts';
import {
  steeringStrategy,
  strategyNamed,
  type SteeringStrategy,
} from '../../protocol/public/steering.ts';

/** The strategy of a migration. Pure. */

const PRECOPY = steeringStrategy.parse({ name: 'precopy' });
const POSTCOPY = steeringStrategy.parse({
  name: 'postcopy',
  measures: ['postcopy'],
  precopyRounds: 0,
});
/** Its rounds, and post-copy earlier where another one buys next to nothing. */
const HYBRID = steeringStrategy.parse({
  name: 'hybrid',
  measures: ['postcopy'],
  stalledRounds: 20,
});

/** As it was asked for, or what its mode comes to. */
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

/** Whether the hypervisor has to be made ready to slow the guest down before memory moves. */
export function mayThrottle(strategy: Pick<SteeringStrategy, 'measures'>): boolean {
  return strategy.measures.includes('throttle');
}
