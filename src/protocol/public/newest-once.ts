import type { MigrationSummary } from './migration.ts';

/** Several hosts' migrations, newest first, at most `limit`: each once, from its source's report if there is one. */
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
