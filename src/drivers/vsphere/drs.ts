import { at, textAt, type XmlElement } from '../../formats/xml.ts';
import type { MaintenanceMode } from '../../protocol/public/hosts/managed-host.ts';
import { guestName } from '../../protocol/names.ts';
import { refIn } from './soap.ts';

/** Automation of DRS in a cluster (`configurationEx`): it can empty a host that enters maintenance mode. Pure. */

/** At this level DRS moves guests off a host that enters maintenance mode. */
const FULL = 'fullyAutomated';
/** vSphere's limit for a cluster. */
const MAX_GUESTS = 8000;
const MAX_LEFT = 4096;
const LONGEST = 64;

export interface ClusterDrs {
  readonly isOn: boolean;
  /** Level of guests without an override: `manual`, `partiallyAutomated` or `fullyAutomated`. */
  readonly level: string;
  /** Overrides by guest id; `off`: DRS ignores the guest. */
  readonly own: ReadonlyMap<string, string>;
}

export function drsIn(configuration: XmlElement): ClusterDrs {
  const [drs] = at(configuration, 'drsConfig');
  // The vCenter keeps overrides even if DRS ignores them.
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
  /** vCenter's name; undefined for a host outside a cluster. */
  readonly name: string | undefined;
  readonly drs: ClusterDrs | undefined;
}

/** Program or person that empties a host of the cluster. `guests`: its running guests, with ids. */
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
