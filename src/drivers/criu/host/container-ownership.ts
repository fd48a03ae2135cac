import { godwitError, type GodwitError } from '../../../errors.ts';
import { lifeOf } from '../../../system/processes/life.ts';
import type { DestinationOptions } from '../../../port/direct.ts';
import { handleIn } from '../handle.ts';
import type { ContainerRecord, Records } from '../link/records.ts';

/**
 * What becomes of the files of a container that a migration brought. Once the container was whole here they may be the only
 * copy: only its own migration takes them down, and another that brings a container of that name is refused.
 */

type Migration = Pick<DestinationOptions, 'migration'>;

/** What a mover left of a container that was never whole here: the beginning of a copy, which may go. */
export function isAbandonedCopy(
  record: ContainerRecord | undefined,
  { migration }: Migration,
): boolean {
  if (record?.made === undefined) return false;
  const { init, worker, cold } = record;
  if (init !== undefined || worker !== undefined || cold !== undefined) return false;
  const isSame = migration !== undefined && record.migration === migration;
  return isSame || lifeOf(record.mover).state === 'gone';
}

/** Whether what a record says was made here was made for the migration of a session. */
export function isMadeFor(
  record: ContainerRecord | undefined,
  { migration, handle }: Pick<DestinationOptions, 'migration' | 'handle'>,
): boolean {
  if (record?.made === undefined) return false;
  if (migration !== undefined && record.migration === migration) return true;
  const token = handle === undefined ? undefined : handleIn(handle)?.token;
  if (token === record.token) return true;
  // Of a build before this one, or for a session that only clears up: what was never whole is nobody's.
  const isNobodys = record.init === undefined && record.cold === undefined;
  return isNobodys && (migration === undefined || record.migration === undefined);
}

/** Why no other container may take the name and the places of one that came here before; undefined where it may. */
export function whyNameInUse(
  records: Records,
  options: Pick<DestinationOptions, 'host' | 'guest' | 'migration'>,
): GodwitError | undefined {
  const { host, guest } = options;
  const record = records.readSync(guest);
  if (record?.made === undefined || isAbandonedCopy(record, options)) return undefined;
  const directory = records.dirOf(guest);
  const [first, ...more] = (record.made.volumes ?? []).map((each) => each.path);
  const volumes =
    first === undefined ? '' : ` and its volumes (${first}${more.length > 0 ? ', …' : ''})`;
  const hint = `An earlier migration brought it, and what it wrote since may be nowhere else: ${directory}${volumes}. If it still runs, move it away or rename the new one. If nobody needs it: \`runc delete ${guest}\`, unmount what is mounted below ${directory}, and remove that${volumes === '' ? '' : ' and the volumes'}.`;
  return godwitError('GODWIT_NAME_IN_USE', { host, guest }, { hint });
}
