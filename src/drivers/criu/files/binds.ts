import path from 'node:path';
import type { Obstacle } from '../obstacle.ts';
import { isBindOption } from '../spec.ts';
import { overlaps, placeIn, readOptions, type VolumeOption } from './volume-names.ts';

/** Finds the volumes among a container's bind mounts in its configuration. Pure. */

export interface Bind {
  readonly destination: string;
  readonly source: string;
  readonly dir: string;
  readonly name: string;
  readonly options: readonly VolumeOption[];
}

/** Read-only bind mount of a path that both hosts have with the same content. */
export interface HostBind {
  readonly destination: string;
  readonly source: string;
}

interface Mount {
  readonly destination: string;
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly options?: string[] | undefined;
  readonly uidMappings?: unknown;
  readonly gidMappings?: unknown;
}

function isBind({ type, options = [] }: Mount) {
  return type === undefined || type === 'bind' || options.some(isBindOption);
}

function isMapped({ uidMappings, gidMappings, options = [] }: Mount): boolean {
  const maps = [uidMappings, gidMappings].some((each) => Array.isArray(each) && each.length > 0);
  return maps || options.some((each) => each === 'idmap' || each === 'ridmap');
}

/** Replaces volume paths by numbers; any other bind mount is an obstacle. */
export function sortMounts(
  all: readonly Mount[],
  volumeDirs: readonly string[],
  hostDirs: readonly string[] = [],
) {
  const mounts: object[] = [];
  const binds: Bind[] = [];
  const ofHost: HostBind[] = [];
  const obstacles: Obstacle[] = [];
  for (const each of all) {
    if (isMapped(each)) {
      const hint =
        'Mount it without uidMappings, gidMappings, idmap and ridmap, with the owners that it has.';
      const reason = 'the destination would mount it without its mapping of owners';
      obstacles.push({ device: each.destination, type: 'idmapped mount', reason, hint });
      continue;
    }
    if (!isBind(each)) {
      mounts.push(each);
      continue;
    }
    const host = hostBindOf(each, hostDirs);
    if (host !== undefined) {
      mounts.push({ destination: host.destination, host: ofHost.length, options: host.options });
      ofHost.push({ destination: host.destination, source: host.source });
      continue;
    }
    const found = bindOf(each, binds, volumeDirs);
    if ('reason' in found) {
      obstacles.push({ device: each.destination, type: 'bind mount', ...found });
      continue;
    }
    const { destination, options } = found;
    mounts.push({ destination, volume: binds.length, options });
    binds.push(found);
  }
  return { mounts, binds, ofHost, obstacles };
}

/** Must be read-only and private: writes would be lost, or reach this host. */
function hostBindOf(
  { destination, source = '', options: given = [] }: Mount,
  hostDirs: readonly string[],
) {
  if (path.posix.normalize(source) !== source) return undefined;
  if (!hostDirs.some((dir) => source === dir || source.startsWith(`${dir}/`))) return undefined;
  const { options, wrong } = readOptions(given);
  if (wrong !== undefined || !options.includes('ro') || options.includes('rw')) return undefined;
  return { destination, source, options };
}

function bindOf(
  { destination, source = '', options: given = [] }: Mount,
  before: readonly Bind[],
  volumeDirs: readonly string[],
): Bind | Pick<Obstacle, 'reason' | 'hint'> {
  const place = placeIn(source, volumeDirs);
  if (place === undefined) {
    const dirs = volumeDirs.join(', ');
    const where = dirs === '' ? 'a directory that `drivers.criu.volumeDirs` names' : dirs;
    const hint = `Put what it holds into the image, or below ${where} (drivers.criu.volumeDirs), or start the container without it.`;
    return { reason: `${source} is of this host, and below no directory of volumes`, hint };
  }
  const { options, wrong } = readOptions(given);
  if (wrong !== undefined) {
    const hint =
      'Mount it privately (rprivate), with no more than ro, nosuid, nodev, noexec and the like.';
    return { reason: `its option ${wrong} would be lost`, hint };
  }
  const other = before.find((each) => overlaps(each.source, source));
  if (other !== undefined) {
    const hint = 'Give each mount a volume of its own.';
    return { reason: `${other.destination} mounts ${other.source} too`, hint };
  }
  const namesake = before.find((each) => overlaps(each.name, place.name));
  if (namesake !== undefined) {
    const hint = 'Give each volume a name of its own below its directory of volumes.';
    const reason = `${namesake.destination} has a volume of that name too, below ${namesake.dir}`;
    return { reason, hint };
  }
  return { destination, source, ...place, options };
}
