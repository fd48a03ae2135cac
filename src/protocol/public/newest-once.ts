import type { MigrationSummary } from './migration.ts';

/** Migrations as several hosts report them, newest first, at most `limit`: each once, as its source reports it where that does. */
export function newestOnce(all: readonly MigrationSummary[], limit: number): MigrationSummary[] {
  const byId = new Map<string, MigrationSummary>();
  for (const each of all) {
    if (!byId.has(each.id) || each.side === 'source') byId.set(each.id, each);
  }
  return [...byId.values()]
    .toSorted((left, right) => compared(right.startedAt, left.startedAt))
    .slice(0, limit);
}

function compared(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
