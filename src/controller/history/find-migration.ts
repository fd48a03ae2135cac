import { godwitError } from '../../errors.ts';
import type { FoundMigration, Migrations } from '../store/migrations.ts';

/**
 * GODWIT_MIGRATION_UNKNOWN if no host reported it; GODWIT_MIGRATION_AMBIGUOUS if several hosts report one as theirs and
 * no request identifies it.
 */
export async function findMigration(
  migrations: Pick<Migrations, 'find'>,
  id: string,
  source?: string,
): Promise<FoundMigration> {
  const found = await migrations.find(id, source);
  const asked = found.filter(({ row }) => row.request !== null);
  const all = asked.length > 0 ? asked : found;
  const own = all.filter(({ row }) => row.told_by === row.source || row.side === 'source');
  const candidates = own.length > 0 ? own : all;
  const [first, ...others] = candidates.filter(
    ({ row }) => row.told_by === row.source || !isOwn(candidates, row.source),
  );
  if (first === undefined)
    throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: 'any host that is followed' });
  if (others.length === 0) return first;
  const hosts = [first, ...others].map(({ row }) => `${row.source} (${row.guest})`).join(', ');
  throw godwitError('GODWIT_MIGRATION_AMBIGUOUS', { id, hosts });
}

function isOwn(all: readonly FoundMigration[], source: string): boolean {
  return all.some(({ row }) => row.source === source && row.told_by === source);
}
