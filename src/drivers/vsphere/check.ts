import { godwitError, toGodwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerPass, managerRefusal, managerWarn } from '../../port/manager-checks.ts';
import type { VsphereClient } from './client.ts';
import { encryptionCheck, ENCRYPTS } from './encryption.ts';
import { checkOf } from './faults.ts';
import { featuresAround, clusterFeatures, evcModes } from './judge/features.ts';
import type { GuestSight, VsphereGuest } from './guest.ts';
import { wordIn, CLUSTER_PROPERTIES } from './inventory.ts';
import { targetOf, type Target } from './order.ts';
import { requirementCheck } from './judge/requirements.ts';
import { type Ref, refIn, ref, localizedFault, type Fault } from './soap.ts';
import type { MaintenanceMode, PowerMode } from '../../protocol/public/hosts/managed-host.ts';
import { dpmIn, powerModeOf } from './dpm.ts';
import { drsIn, maintenanceModeOf } from './drs.ts';
import { at, type XmlElement } from '../../formats/xml.ts';
import { some, adviceOf, baselineOf, trapAt } from './judge/baseline.ts';
import { TaskFollower } from './task-follower.ts';
import { isUnderWay, type Task } from './task.ts';

/** Checks a move by vSphere's own test and by its hosts' properties. Starts nothing. */
export async function checkMove(
  guest: VsphereGuest,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<Check[]> {
  const { guest: name, to } = order;
  const sight = await guest.needed(name, signal);
  let target: Target;
  try {
    target = await targetOf(guest, sight, order, signal);
  } catch (thrown) {
    const error = toGodwitError(thrown);
    const isPlace = ['GODWIT_HOST_UNKNOWN', 'GODWIT_MANAGER_REFUSES'].includes(error.code);
    if (!isPlace) throw thrown;
    return [managerRefusal('host', 'destination', error)];
  }
  const { client, host } = target;
  const found = await startMove(guest, target, signal);
  const concerned = { guest: name, host: to };
  return [
    managerCheck(guest.client, target),
    ...hostChecks(name, to, target),
    ...(await balancerCheck(client, target, { id: vmOf(guest, target), name }, signal)),
    await evcCheck(client, target, sight.evcMode, signal),
    requirementCheck({
      needed: sight.needed,
      to: host.name,
      hosts: await featuresAround(client, host, signal),
    }),
    await encryptionFacts(guest, order, sight, target, signal),
    ...found.errors.map((fault) => checkOf(fault, concerned, 'refuse')),
    ...found.warnings.map((fault) => checkOf(fault, concerned, 'warn')),
    ...(found.errors.length === 0 ? [] : await otherHosts(guest, sight, target, signal)),
  ];
}

/** The guest has another id, or none yet, at another vCenter. */
const vmOf = ({ ref: vm }: VsphereGuest, { other }: Target): string =>
  other === undefined ? vm.value : '';

function managerCheck(
  { about: own }: Pick<VsphereClient, 'about'>,
  { other, client }: Target,
): Check {
  const said = `${own.product}, API ${own.version}`;
  if (other === undefined) return managerPass('manager', 'both', said);
  const { product, version } = client.about;
  const shown = client.certificate?.thumbprint ?? 'that it does not show';
  const evidence = `${said}; to ${other}: ${product}, API ${version}, with the certificate ${shown}`;
  return managerPass('manager', 'both', evidence);
}

/** After a refusal: other hosts of the destination's cluster that would accept the guest. */
async function otherHosts(
  { client, ref: vm }: VsphereGuest,
  { host: source }: GuestSight,
  { host, other }: Target,
  signal: AbortSignal,
): Promise<Check[]> {
  const { parent: cluster } = host;
  // A vCenter checks only its own hosts.
  if (cluster?.type !== 'ClusterComputeResource' || other !== undefined) return [];
  const not = [host.ref, ...(source === undefined ? [] : [source])];
  const found = await elsewhereCheck(client, { vm, cluster, not }, signal);
  return found === undefined ? [] : [found];
}

/** vSphere encrypts the memory of a guest that requires it, and of others if both hosts support it. */
async function encryptionFacts(
  { client }: VsphereGuest,
  { guest, to, encrypted = false }: ManagedOrder,
  { host: source, encryption }: GuestSight,
  target: Target,
  signal: AbortSignal,
): Promise<Check> {
  const [here, there] = [
    source !== undefined && (await encrypts(client, source, signal)),
    await encrypts(target.client, target.host.ref, signal),
  ];
  return encryptionCheck({ guest, to, isAsked: encrypted, encryption, bothCan: here && there });
}

async function encrypts(client: VsphereClient, host: Ref, signal: AbortSignal): Promise<boolean> {
  // Reads the whole object: not every version has each capability as a separate property.
  const [seen] = await client.retrieve([{ ref: host, properties: ['capability'] }], signal);
  return seen !== undefined && wordIn(seen.properties, 'capability', ENCRYPTS) === 'true';
}

export function deviceChecks(guest: string, devices: readonly string[]): Check[] {
  if (devices.length === 0) return [];
  const facts = {
    device: devices.join(', ').slice(0, 256),
    type: 'of the host',
    guest,
    reason: 'no other host has it',
  };
  return [managerRefusal('devices', 'source', godwitError('GODWIT_DEVICE_UNMOVABLE', facts))];
}

function hostChecks(guest: string, to: string, { host }: Target): Check[] {
  const refuse = (reason: string): Check[] => {
    const facts = { manager: 'vSphere', guest, host: to, reason };
    return [managerRefusal('host', 'destination', godwitError('GODWIT_MANAGER_REFUSES', facts))];
  };
  if (host.connection !== 'connected')
    return refuse(`its vCenter says that it is ${host.connection}`);
  if (host.inMaintenance) return refuse('it is in maintenance mode');
  return [managerPass('host', 'destination', `${host.name} is connected`)];
}

/** Automation that moves guests in the destination's cluster: it may move the guest on. Starts nothing. */
async function balancerCheck(
  client: VsphereClient,
  { host }: Pick<Target, 'host'>,
  guest: { readonly id: string; readonly name: string },
  signal: AbortSignal,
): Promise<Check[]> {
  const { parent } = host;
  if (parent?.type !== 'ClusterComputeResource') return [];
  const wanted = { ref: parent, properties: [...CLUSTER_PROPERTIES, 'host'] };
  const [seen] = await client.retrieve([wanted], signal);
  const configuration = seen?.properties.get('configurationEx');
  if (seen === undefined || configuration === undefined) return [];
  const name = wordIn(seen.properties, 'name') ?? parent.value;
  const hosts = (seen.properties.get('host')?.children ?? []).flatMap(
    (each) => refIn(each)?.value ?? [],
  );
  const mode = maintenanceModeOf({ name, drs: drsIn(configuration) }, [guest]);
  const power = powerModeOf({ name, dpm: dpmIn(configuration) }, hosts);
  return [balancerOf(guest.name, mode, power)];
}

export function balancerOf(guest: string, mode: MaintenanceMode, power: PowerMode): Check {
  const moves =
    mode.moves === 'manager' && mode.leaves.includes(guest)
      ? `${mode.words} moves guests by itself, and leaves ${guest} where it is`
      : mode.moves === 'manager'
        ? `${mode.words} moves guests by itself: it may move ${guest} on from there`
        : mode.words;
  const sets =
    power.sets === 'manager'
      ? `${power.words} puts hosts to sleep by itself, and moves their guests for that`
      : power.words;
  return managerPass('balancer', 'destination', `${moves}; ${sets}`);
}

/** vSphere's limit for a cluster. */
const MAX_HOSTS = 128;

/**
 * Other hosts of a cluster to which vSphere would move the guest (QueryVMotionCompatibilityEx_Task). Starts
 * nothing.
 */
async function elsewhereCheck(
  client: VsphereClient,
  { vm, cluster, not }: { readonly vm: Ref; readonly cluster: Ref; readonly not: readonly Ref[] },
  signal: AbortSignal,
): Promise<Check | undefined> {
  const [seen] = await client.retrieve([{ ref: cluster, properties: ['host'] }], signal);
  const left = new Set(not.map(({ value }) => value));
  const hosts = (seen?.properties.get('host')?.children ?? [])
    .flatMap((each) => refIn(each) ?? [])
    .filter(({ value }) => !left.has(value))
    .slice(0, MAX_HOSTS);
  if (hosts.length === 0) return undefined;
  const checker = client.content.vmProvisioningChecker;
  const parts = [ref('vm', vm), ...hosts.map((host) => ref('host', host))];
  const task = await client.callForRef('QueryVMotionCompatibilityEx_Task', checker, parts, signal);
  const { fault, result } = await taskEnd(client, task, signal);
  if (fault !== undefined) return undefined;
  const able = new Set(compatibleIn(result));
  const wanted = hosts.filter(({ value }) => able.has(value));
  const named = await client.retrieve(
    wanted.map((host) => ({ ref: host, properties: ['name'] })),
    signal,
  );
  return elsewhereOf(named.flatMap(({ properties }) => wordIn(properties, 'name') ?? []));
}

/** Ids of hosts without an error in an ArrayOfCheckResult. Pure. */
export function compatibleIn(result: XmlElement | undefined): string[] {
  const results = result === undefined ? [] : at(result, 'CheckResult');
  return results
    .filter((each) => at(each, 'error').length === 0)
    .flatMap((each) => refIn(at(each, 'host')[0])?.value ?? []);
}

function elsewhereOf(names: readonly string[]): Check {
  const evidence =
    names.length === 0
      ? 'vSphere names no other host of the cluster that would take the guest'
      : `vSphere would move the guest to ${some(names)}`;
  return managerPass('elsewhere', 'destination', evidence);
}

/**
 * vSphere compares processors itself; this check reports the EVC mode, and a possible mode for a cluster without
 * EVC.
 */
async function evcCheck(
  client: VsphereClient,
  { host }: Pick<Target, 'host'>,
  guest: string | undefined,
  signal: AbortSignal,
): Promise<Check> {
  const there = host.evcMode ?? 'no EVC mode';
  const said = `the host has ${there}, the guest needs ${guest ?? 'none that is known'}`;
  const seen =
    host.evcMode !== undefined || host.parent === undefined
      ? undefined
      : await clusterFeatures(client, host.parent, signal);
  if (seen === undefined || seen.hosts.length < 2) return managerPass('evc', 'both', said);
  const baseline = baselineOf(seen.hosts, await evcModes(client, signal));
  const evidence = `${said}; its cluster has no EVC: ${adviceOf(baseline)}`;
  const features = seen.hosts.find(({ name }) => name === host.name)?.features;
  const trap = trapAt(host.name, { features }, baseline);
  if (trap === undefined) return managerPass('evc', 'both', evidence);
  const trapped = `off and on again there, the guest may use ${some(trap.features)}, and then moves no more to ${some(trap.hosts)}`;
  const { mode } = baseline;
  const hint =
    mode === undefined
      ? 'Keep the guest among hosts with the same processors.'
      : `Give the cluster the EVC mode ${mode.key}.`;
  return managerWarn('evc', 'both', `${evidence}; ${trapped}`, hint);
}

/** Longest wait of vSphere for a change, s. */
const WAITS_S = 10;
const MAX_FAULTS = 64;

interface CheckFaults {
  readonly errors: readonly Fault[];
  readonly warnings: readonly Fault[];
}

/**
 * Runs vSphere's own test of the move (CheckRelocate_Task), which starts nothing. A fault of the task counts as
 * an error.
 */
async function startMove(
  { client, ref: vm }: VsphereGuest,
  { spec }: Target,
  signal: AbortSignal,
): Promise<CheckFaults> {
  const checker = client.content.vmProvisioningChecker;
  const task = await client.callForRef(
    'CheckRelocate_Task',
    checker,
    [ref('vm', vm), spec],
    signal,
  );
  const { fault, result } = await taskEnd(client, task, signal);
  return fault === undefined ? foundIn(result) : { errors: [fault], warnings: [] };
}

export async function taskEnd(
  client: VsphereClient,
  task: Ref,
  signal: AbortSignal,
): Promise<Pick<Task, 'fault' | 'result'>> {
  const follower = await TaskFollower.open(client, task, signal);
  try {
    for (;;) {
      const seen = await follower.next(WAITS_S, signal);
      signal.throwIfAborted();
      if (seen !== undefined && !isUnderWay(seen)) return seen;
    }
  } finally {
    await follower.close(signal);
  }
}

export function foundIn(result: XmlElement | undefined): CheckFaults {
  const results = result === undefined ? [] : at(result, 'CheckResult');
  const faults = (name: string): Fault[] =>
    results
      .flatMap((each) => at(each, name))
      .slice(0, MAX_FAULTS)
      .map(localizedFault);
  return { errors: faults('error'), warnings: faults('warning') };
}
