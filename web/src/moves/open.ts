import { signal } from '@preact/signals';
import type { FleetMigration } from '../../../src/protocol/controller/history.ts';

/** Migrations as the events reported them, by id; the newest of each. Bounded: what is asked for again is not missed. */
export const heard = signal<ReadonlyMap<string, FleetMigration>>(new Map());
const MAX = 500;

export function newsOfMigration(migration: FleetMigration): void {
  const next = new Map(heard.value);
  const before = next.get(migration.id);
  next.delete(migration.id);
  // Reported from two places, one of them late: what is shown does not run backwards.
  const percent = Math.max(before?.percent ?? 0, migration.percent ?? 0);
  next.set(migration.id, migration.state === 'open' ? { ...migration, percent } : migration);
  for (const id of next.keys()) {
    if (next.size <= MAX) break;
    next.delete(id);
  }
  heard.value = next;
}
