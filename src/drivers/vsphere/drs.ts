import { at, textAt, type XmlElement } from '../../formats/xml.ts';
import type { MaintenanceMode } from '../../protocol/public/hosts/managed-host.ts';
import { guestName } from '../../protocol/names.ts';
import { refIn } from './soap.ts';

/** What DRS of a cluster does by itself (`configurationEx`): with that, a host that enters maintenance mode is emptied. Pure. */

/** DRS moves by itself what runs on a host that enters maintenance mode. */
const FULL = 'fullyAutomated';
/** A cluster has no more guests. */
const MAX_GUESTS = 8000;
const MAX_LEFT = 4096;
const LONGEST = 64;

export interface ClusterDrs {
  readonly isOn: boolean;
  /** Of guests that have none of their own: `manual`, `partiallyAutomated` or `fullyAutomated`. */
  readonly level: string;
  /** By the ids of guests that have one of their own; `off`: DRS does not look at it. */
  readonly own: ReadonlyMap<string, string>;
}

export function drsIn(configuration: XmlElement): ClusterDrs {
  const [drs] = at(configuration, 'drsConfig');
  // Where DRS ignores them, the vCenter keeps them all the same.
  const counts = drs === undefined || textAt(drs, 'enableVmBehaviorOverrides') !== 'false';
  const own = at(configuration, 'drsVmConfig')
    .slice(0, MAX_GUESTS)
    .flatMap((each): [string, string][] => {
      const id = refIn(at(each, 'key')[0])?.value;
      const level = textAt(each, 'enabled') === 'false' ? 'off' : textAt(each, 'behavior');
      return id === undefined || level === undefined ? [] : [[id, level.slice(0, LONGEST)]];
    });
  return {
    isOn: drs !== undefined && textAt(drs, 'enabled') === 'true',
    level: ((drs === undefined ? undefined : textAt(drs, 'defaultVmBehavior')) ?? '').slice(
      0,
      LONGEST,
    ),
    own: new Map(counts ? own : []),
  };
}

export interface DrsCluster {
  /** In the vCenter's own words; undefined for a host that is in no cluster. */
  readonly name: string | undefined;
  readonly drs: ClusterDrs | undefined;
}

/** Who empties a host of that cluster. `guests`: those that run there, by id. */
export function maintenanceModeOf(
  { name, drs }: DrsCluster,
  guests: readonly { readonly id: string; readonly name: string }[],
): MaintenanceMode {
  const by = `DRS of ${(name ?? '').slice(0, LONGEST)}`;
  if (name === undefined) return { moves: 'asker', words: 'it is in no cluster', leaves: [] };
  if (drs === undefined) return { moves: 'asker', words: `${by} is not known`, leaves: [] };
  if (!drs.isOn) return { moves: 'asker', words: `${by} is off`, leaves: [] };
  if (drs.level !== FULL)
    return {
      moves: 'asker',
      words: `${by} is ${drs.level === '' ? 'not automated' : drs.level}`,
      leaves: [],
    };
  const leaves = guests
    .filter(({ id, name: guest }) => {
      return (drs.own.get(id) ?? FULL) !== FULL && guestName.safeParse(guest).success;
    })
    .slice(0, MAX_LEFT);
  return { moves: 'manager', words: by, leaves: leaves.map((each) => each.name) };
}
