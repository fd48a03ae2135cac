import { godwitError, type GodwitError } from '../../../errors.ts';
import { lifeOf } from '../../../system/processes/life.ts';
import type { DestinationOptions } from '../../../port/direct.ts';
import { handleIn } from '../handle.ts';
import type { ContainerRecord, Records } from '../link/records.ts';

/**
 * Ownership of a migrated container's files. A complete copy may be the only one: only its own migration removes
 * it, and another migration with the same name is refused.
 */

type Migration = Pick<DestinationOptions, 'migration'>;

/** Incomplete copy that a mover left, which may be removed. */
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

export function isMadeFor(
  record: ContainerRecord | undefined,
  { migration, handle }: Pick<DestinationOptions, 'migration' | 'handle'>,
): boolean {
  if (record?.made === undefined) return false;
  if (migration !== undefined && record.migration === migration) return true;
  const token = handle === undefined ? undefined : handleIn(handle)?.token;
  if (token === record.token) return true;
  // Records of an earlier build, and cleanup sessions: an incomplete copy has no owner.
  const isNobodys = record.init === undefined && record.cold === undefined;
  return isNobodys && (migration === undefined || record.migration === undefined);
}

/** Reason why another container may not use the name and paths of an earlier arrival; undefined if it may. */
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
  const id = record.podman?.id.slice(0, 12);
  const files =
    id === undefined ? `${directory}${volumes}` : `the files of podman's container ${id}`;
  const removal = id === undefined ? `runc delete ${guest}` : `podman rm ${id}`;
  const hint = `An earlier migration brought it, and what it wrote since may be nowhere else: ${files}. If it still runs, move it away or rename the new one. If nobody needs it: \`${removal}\`, unmount what is mounted below ${directory}, and remove that${volumes === '' ? '' : ' and the volumes'}.`;
  return godwitError('GODWIT_NAME_IN_USE', { host, guest }, { hint });
}
