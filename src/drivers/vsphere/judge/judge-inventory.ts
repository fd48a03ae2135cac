import { guestName } from '../../../protocol/names.ts';
import type { ManagerFinding } from '../../../port/managed.ts';
import { adviceOf, some, type Baseline } from './baseline.ts';
import type { InventoryGuest } from '../inventory.ts';
import { named } from './judge.ts';

/** Meaning of a vCenter's hosts and guests for migration. Pure. */

export interface HostFact {
  /** vCenter's name. */
  readonly name: string;
  readonly isNamed: boolean;
  readonly connection: string;
  /** A VMkernel interface is enabled for vMotion. */
  readonly hasVmotion: boolean;
}

export function judgeHosts(hosts: readonly HostFact[]): ManagerFinding {
  const name = 'hosts';
  if (hosts.length === 0) {
    const hint = 'Give the user its role on a datacenter, propagated to what is below it.';
    return { name, verdict: 'fail', found: 'none is seen', hint };
  }
  const silent = hosts.filter(({ connection }) => connection !== 'connected');
  const nameless = hosts.filter(({ isNamed }) => !isNamed);
  const read = `${hosts.length} read`;
  if (nameless.length > 0) {
    const found = `${read}; no name of their own: ${named(nameless.map((each) => each.name))}`;
    const hint =
      'Name them apart in `drivers.vsphere.hosts`: until then their guests are not listed.';
    return { name, verdict: 'warn', found, hint };
  }
  if (silent.length > 0) {
    const found = `${read}; not connected: ${named(silent.map((each) => each.name))}`;
    const hint = 'Connect them in vSphere: nobody knows what their guests do.';
    return { name, verdict: 'warn', found, hint };
  }
  return { name, verdict: 'ok', found: `${read}, all connected` };
}

export function judgeVmotion(hosts: readonly HostFact[]): ManagerFinding {
  const name = 'vmotion';
  const without = hosts.filter(({ hasVmotion }) => !hasVmotion).map((each) => each.name);
  if (without.length === 0) {
    return { name, verdict: 'ok', found: `${hosts.length} hosts have an interface for it` };
  }
  const found = `no VMkernel interface for it: ${named(without)}`;
  const hint = 'Enable vMotion on a VMkernel interface of each, all in one network.';
  return { name, verdict: without.length === hosts.length ? 'fail' : 'warn', found, hint };
}

export interface ClusterFact {
  readonly name: string;
  /** DRS moves guests automatically unless overridden. */
  readonly moves: boolean;
  /** DPM suspends and wakes hosts automatically. */
  readonly setsPower: boolean;
}

/** Automation that moves guests. Godwit's policies never move a manager's guests. */
export function judgeBalancer(clusters: readonly ClusterFact[]): ManagerFinding {
  const name = 'balancer';
  const those = (does: 'moves' | 'setsPower'): string[] =>
    clusters.filter((each) => each[does]).map((each) => each.name);
  const [moving, powering] = [those('moves'), those('setsPower')];
  const words = [
    ...(moving.length === 0 ? [] : [`DRS moves guests by itself in ${named(moving)}`]),
    ...(powering.length === 0
      ? []
      : [`DPM puts hosts to sleep and wakes them by itself in ${named(powering)}`]),
  ];
  const found =
    words.length === 0
      ? 'no cluster moves guests by itself, or sets the power of its hosts'
      : `${words.join('; ')}; Godwit’s policies leave them alone`;
  return { name, verdict: 'ok', found };
}

export function judgeGuests(guests: readonly InventoryGuest[]): ManagerFinding {
  const name = 'guests';
  const running = guests.filter(({ state }) => state === 'running').length;
  const read = `${guests.length} read, ${running} running`;
  const twice = guests.filter(({ isNamesake }) => isNamesake).map((each) => each.name);
  const odd = guests
    .filter((each) => !guestName.safeParse(each.name).success)
    .map((each) => each.name);
  if (twice.length === 0 && odd.length === 0) return { name, verdict: 'ok', found: read };
  const found = [
    read,
    ...(twice.length > 0
      ? [`not moved, for another has its name: ${named([...new Set(twice)])}`]
      : []),
    ...(odd.length > 0 ? [`not listed, for its name: ${named(odd)}`] : []),
  ].join('; ');
  const hint =
    'Rename them in vSphere: a name of Godwit’s has no blanks and at most 63 characters.';
  return { name, verdict: 'warn', found, hint };
}

export interface ClusterBaseline {
  readonly name: string;
  readonly baseline: Baseline;
}

/** Advice for clusters without EVC, whose guests may start to use features that not every host has. */
export function judgeEvc(clusters: readonly ClusterBaseline[]): ManagerFinding[] {
  const name = 'evc';
  if (clusters.length === 0)
    return [{ name, verdict: 'ok', found: 'no cluster of several hosts is without EVC' }];
  return clusters.map(({ name: cluster, baseline }): ManagerFinding => {
    const { mode, lacking, unread } = baseline;
    const found = `${cluster} has no EVC; ${adviceOf(baseline)}`;
    if (lacking.size === 0 && unread.length === 0) return { name, verdict: 'ok', found };
    const apart = [...lacking].map(([host, lacks]) => `${host} lacks ${some(lacks)}`);
    const apartHint =
      mode === undefined
        ? 'Its guests move freely only among hosts with the same processors: put these in a cluster of their own.'
        : `Give it the EVC mode ${mode.key}: guests then use only what all its hosts have.`;
    const hint =
      unread.length > 0
        ? 'Connect these hosts, and give the user the right to read them; then ask again.'
        : apartHint;
    return { name, verdict: 'warn', found: [found, ...apart.slice(0, 16)].join('; '), hint };
  });
}
