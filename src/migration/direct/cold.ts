import type { Check, MigrationSettings } from '../../protocol/public/migration.ts';
import type { DestinationState } from './destination.ts';

/** What a cold move does otherwise: the guest shuts itself down, no memory moves, and it is started at its destination. */

interface PlannedMigration {
  readonly plan: { readonly settings: Pick<MigrationSettings, 'mode'> };
}

export function isCold({ plan }: PlannedMigration): boolean {
  return plan.settings.mode === 'cold';
}

/** The same, as the destination knows it. */
export function comesCold({ admission }: Pick<DestinationState, 'admission'>): boolean {
  return admission.settings?.mode === 'cold';
}

/** It was committed here and has not run: between the end of one hypervisor and the start of the next there is none. */
export function isToBeStarted(state: DestinationState): boolean {
  return comesCold(state) && state.right === 'running' && !state.hasRun;
}

/** What only speaks against sending the memory of a guest. */
const OF_MEMORY: ReadonlySet<string> = new Set([
  'blocked',
  'dirty-tracking',
  'inner-guests',
  'free-pages',
]);

/** The checks of a guest that count for its move: a cold one is not refused for what its memory could not be sent with. */
export function countedChecks<T extends Pick<Check, 'name'>>(
  checks: readonly T[],
  state: PlannedMigration,
): readonly T[] {
  return isCold(state) ? checks.filter(({ name }) => !OF_MEMORY.has(name)) : checks;
}
