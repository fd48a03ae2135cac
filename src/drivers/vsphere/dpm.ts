import { at, textAt, type XmlElement } from '../../formats/xml.ts';
import type { PowerMode } from '../../protocol/public/hosts/managed-host.ts';
import { refIn } from './soap.ts';

/** Automation of Distributed Power Management in a cluster (`configurationEx`). Pure. */

/** DPM consolidates guests, suspends unneeded hosts and wakes them. */
const AUTOMATED = 'automated';
/** vSphere's limit for a cluster. */
const MAX_HOSTS = 128;
const LONGEST = 64;

export interface ClusterDpm {
  /** DPM is off if DRS is off. */
  readonly isOn: boolean;
  /** Level of hosts without an override: `manual` or `automated`. */
  readonly level: string;
  /** Overrides by host id; `off`: DPM leaves that host on. */
  readonly own: ReadonlyMap<string, string>;
}

export function dpmIn(configuration: XmlElement): ClusterDpm {
  const [drs] = at(configuration, 'drsConfig');
  const [dpm] = at(configuration, 'dpmConfigInfo');
  const isEnabled = (each: XmlElement | undefined): boolean =>
    each !== undefined && textAt(each, 'enabled') === 'true';
  const own = at(configuration, 'dpmHostConfig')
    .slice(0, MAX_HOSTS)
    .flatMap((each): [string, string][] => {
      const id = refIn(at(each, 'key')[0])?.value;
      const level = textAt(each, 'enabled') === 'false' ? 'off' : textAt(each, 'behavior');
      return id === undefined || level === undefined ? [] : [[id, level.slice(0, LONGEST)]];
    });
  const level = (dpm === undefined ? undefined : textAt(dpm, 'defaultDpmBehavior')) ?? '';
  return {
    isOn: isEnabled(dpm) && isEnabled(drs),
    level: level.slice(0, LONGEST),
    own: new Map(own),
  };
}

export interface DpmCluster {
  /** vCenter's name; undefined for a host outside a cluster. */
  readonly name: string | undefined;
  readonly dpm: ClusterDpm | undefined;
}

/**
 * Program or person that controls the power of the cluster's hosts. `hosts`: ids of all of them. One automated
 * host is enough, because DPM moves its guests to the others and back.
 */
export function powerModeOf({ name, dpm }: DpmCluster, hosts: readonly string[]): PowerMode {
  const by = `DPM of ${(name ?? '').slice(0, LONGEST)}`;
  if (name === undefined) return { sets: 'asker', words: 'it is in no cluster' };
  if (dpm === undefined) return { sets: 'asker', words: `${by} is not known` };
  if (!dpm.isOn) return { sets: 'asker', words: `${by} is off` };
  if (hosts.some((id) => (dpm.own.get(id) ?? dpm.level) === AUTOMATED))
    return { sets: 'manager', words: by };
  if (dpm.level === AUTOMATED) return { sets: 'asker', words: `${by} leaves all its hosts on` };
  return { sets: 'asker', words: `${by} is ${dpm.level === '' ? 'not automated' : dpm.level}` };
}
