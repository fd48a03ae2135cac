import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { MigrationStore } from '../../agent/migrations/store.ts';
import type { Clock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import { hostName } from '../../protocol/names.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import { holderOfSocket } from '../../rpc/port-holder.ts';
import type { AgentDirectory } from './agent-directory.ts';

export function managersOnDisk(stateDir: string): string[] {
  const dir = path.join(stateDir, 'managers');
  if (!existsSync(dir)) return [];
  return readdirSync(dir).filter((name) => hostName.safeParse(name).success);
}

/** Only an agent that has served has journals, labels and reports that exist nowhere else. */
export function hasServed(place: Pick<AgentDirectory, 'dir' | 'socket'>): boolean {
  return (
    existsSync(path.join(place.dir, 'migrations')) || holderOfSocket(place.socket) !== undefined
  );
}

/** GODWIT_MANAGER_BUSY while a migration in these journals is open or unreadable. */
export function checkAtRest(
  { dir, name }: Pick<AgentDirectory, 'dir' | 'name'>,
  clock: Clock,
): void {
  if (!existsSync(path.join(dir, 'migrations'))) return;
  const store = new MigrationStore(dir, name, clock);
  const open = store.all().filter(({ id }) => !isEnd(store.progress(id).phase));
  if (open.length === 0) return;
  const ids = open.slice(0, 8).map(({ id }) => id);
  const why = `migrations of its guests have not ended (${ids.join(', ')})`;
  throw godwitError('GODWIT_MANAGER_BUSY', { manager: name, why });
}
