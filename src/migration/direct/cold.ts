import type { Check, MigrationSettings } from '../../protocol/public/migration.ts';
import type { DestinationState } from './destination/destination.ts';

/** Differences of a cold move: the guest shuts down, no memory moves, and the guest boots at the destination. */

interface PlannedMigration {
  readonly plan: { readonly settings: Pick<MigrationSettings, 'mode'> };
}

export function isCold({ plan }: PlannedMigration): boolean {
  return plan.settings.mode === 'cold';
}

export function comesCold({ admission }: Pick<DestinationState, 'admission'>): boolean {
  return admission.settings?.mode === 'cold';
}

/** True between commit and the start of the guest's new hypervisor. */
export function isToBeStarted(state: DestinationState): boolean {
  return comesCold(state) && state.right === 'running' && !state.hasRun;
}

/** Checks that concern sending memory only. */
const OF_MEMORY: ReadonlySet<string> = new Set([
  'blocked',
  'dirty-tracking',
  'inner-guests',
  'free-pages',
]);

export function countedChecks<T extends Pick<Check, 'name'>>(
  checks: readonly T[],
  state: PlannedMigration,
): readonly T[] {
  return isCold(state) ? checks.filter(({ name }) => !OF_MEMORY.has(name)) : checks;
}
