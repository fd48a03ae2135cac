import { godwitError, toGodwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerPass, managerRefusal } from '../port/manager-checks.ts';
import { balancerCheck } from './balancer-check.ts';
import type { VsphereClient } from './client.ts';
import { elsewhereCheck } from './elsewhere.ts';
import { encryptionCheck, ENCRYPTS } from './encryption.ts';
import { evcCheck } from './evc-check.ts';
import { checkOf } from './faults.ts';
import { featuresAround } from './features.ts';
import type { GuestSight, VsphereGuest } from './guest.ts';
import { wordIn } from './inventory.ts';
import { targetOf, type Target } from './order.ts';
import { requirementCheck } from './requirements.ts';
import type { Ref } from './soap.ts';
import { startMove } from './start-move.ts';

/** What is found for or against a move: by vSphere itself, and by what its hosts say of themselves. It starts nothing. */
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

/** At another vCenter it has another id, or none yet. */
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

/** Where vSphere refuses: who else of the destination's cluster would take the guest. */
async function otherHosts(
  { client, ref: vm }: VsphereGuest,
  { host: source }: GuestSight,
  { host, other }: Target,
  signal: AbortSignal,
): Promise<Check[]> {
  const { parent: cluster } = host;
  // A vCenter judges its own hosts alone.
  if (cluster?.type !== 'ClusterComputeResource' || other !== undefined) return [];
  const not = [host.ref, ...(source === undefined ? [] : [source])];
  const found = await elsewhereCheck(client, { vm, cluster, not }, signal);
  return found === undefined ? [] : [found];
}

/** vSphere encrypts the memory of a guest that requires it, and of others where both hosts can. */
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
  // Whole: not every version has each of them by a name of its own.
  const [seen] = await client.retrieve([{ ref: host, properties: ['capability'] }], signal);
  return seen !== undefined && wordIn(seen.properties, 'capability', ENCRYPTS) === 'true';
}

export function stateCheck(guest: string, state: string): Check {
  if (state === 'running') return managerPass('state', 'source', `${guest} is running`);
  return managerRefusal('state', 'source', godwitError('GODWIT_GUEST_STATE', { guest, state }));
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
