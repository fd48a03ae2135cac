import { godwitError } from '../../errors.ts';
import type { ListedMigration, Migrations } from '../store/migrations.ts';

/** GODWIT_MIGRATION_UNKNOWN where no host reported it. `report`: as it is kept. */
export async function findMigration(
  migrations: Pick<Migrations, 'get'>,
  id: string,
): Promise<{ row: ListedMigration; report: string | null }> {
  const found = await migrations.get(id);
  if (found !== undefined) return found;
  throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: 'any host that is followed' });
}
