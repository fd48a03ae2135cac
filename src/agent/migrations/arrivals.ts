import { stat } from 'node:fs/promises';
import type { ArrivedGuest, ManagedDriver } from '../../port/managed.ts';
import { isManaged, type Driver } from '../../drivers/registry.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import { notLooked, type VerificationCheck } from '../../migration/report/verified.ts';
import { askSegments, disksLook, LOOK_MS, orNot, segmentLooks } from '../../mover/public.ts';
import { readNetwork } from '../../network/host.ts';
import type { Landing } from '../../network/landing.ts';
import type { NetworkFacts } from '../../network/facts.ts';
import { nicNetwork, type NicNetwork } from '../../protocol/network.ts';
import type { ArrivalAnswer, ArrivalQuery } from '../../protocol/peer/arrival.ts';
import type { Caller } from '../../rpc/caller.ts';
import { checkSender, peerAddress, type PeersOf } from './incoming.ts';

export interface ArrivalDependencies extends PeersOf {
  readonly drivers: readonly Driver[];
  readonly addressesOf: (guest: string) => readonly string[];
}

interface ArrivalRequest extends ArrivalQuery {
  readonly id: string;
}

/**
 * Observes a guest that its manager has moved here, from outside of its hypervisor. GODWIT_MIGRATION_UNKNOWN if the
 * manager has no guest by that migration: a host may query only what it has moved here.
 */
export async function arrivalSeen(
  deps: ArrivalDependencies,
  asked: ArrivalRequest,
  caller: Caller,
  signal: AbortSignal,
): Promise<ArrivalAnswer> {
  const { config, drivers } = deps;
  const { id, guest, from } = asked;
  checkSender(caller, from);
  peerAddress(deps, from);
  const arrived = arrivedBy(drivers, asked.driver, config.name);
  const what = `what the manager has of ${guest}`;
  const found = await withDeadline(what, LOOK_MS, signal, (inner) => arrived({ id, guest }, inner));
  if (found === undefined) throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: config.name });
  const [disks, segments] = await Promise.all([
    orNot('disks', (inner) => disksSeen(deps, found, inner)),
    orNot('segment', (inner) => segmentsSeen(deps, asked, found, inner)),
  ]);
  return { checks: [...disks, ...segments].slice(0, 96) };
}

function arrivedBy(
  drivers: readonly Driver[],
  name: string,
  host: string,
): NonNullable<ManagedDriver['arrived']> {
  const driver = drivers.find((each) => each.name === name);
  if (driver !== undefined && isManaged(driver) && driver.arrived !== undefined)
    return driver.arrived.bind(driver);
  const reason = `${host} has no driver ${name} whose manager is part of it`;
  throw godwitError('GODWIT_CAPABILITY', { what: 'to look at a guest that has come', reason });
}

/** The driver that finds hypervisors by itself reports their open files. */
async function disksSeen(
  { config, drivers }: ArrivalDependencies,
  { written }: ArrivedGuest,
  signal: AbortSignal,
): Promise<VerificationCheck[]> {
  for (const file of written?.files ?? []) {
    const isSeen = await stat(file).then(
      () => true,
      () => false,
    );
    if (!isSeen) return [notLooked('disks', 'destination', `this agent does not see ${file}`)];
  }
  const looker = drivers.find((driver) => driver.diskWriters !== undefined);
  return disksLook(config.name, written, looker?.diskWriters?.bind(looker), signal);
}

async function segmentsSeen(
  { config, addressesOf }: ArrivalDependencies,
  { id, guest }: ArrivalRequest,
  { nics }: ArrivedGuest,
  signal: AbortSignal,
): Promise<VerificationCheck[]> {
  const places = placesOf(nics, addressesOf(guest), await readNetwork({}, signal));
  if (typeof places === 'string') return [notLooked('segment', 'destination', places)];
  const { networks, landings } = places;
  const preparation = { networks: [...networks], description: { name: guest } };
  return segmentLooks(await askSegments(config, id, preparation, { landings }, signal));
}

interface Places {
  readonly networks: readonly NicNetwork[];
  readonly landings: ReadonlyMap<string, Landing>;
}

/**
 * Chooses where the NICs are probed, or explains why none is. A configured address names no NIC, so it counts only for
 * a single NIC; an Open vSwitch port may be in any VLAN. Pure.
 */
export function placesOf(
  nics: ArrivedGuest['nics'],
  configured: readonly string[],
  { links }: Pick<NetworkFacts, 'links'>,
): Places | string {
  const addresses = nics.length === 1 ? [...configured] : [];
  const landings = new Map<string, Landing>();
  const networks = nics.flatMap(({ id, mac, bridge }) => {
    const link = links.find(({ ifname, kind }) => ifname === bridge && kind === 'bridge');
    if (link === undefined || bridge === undefined) return [];
    const attachment = { kind: 'bridge', bridge, mtu: link.mtu } as const;
    const nic = nicNetwork.safeParse({
      id,
      mac: mac.toLowerCase(),
      port: bridge,
      addresses,
      attachment,
    });
    if (!nic.success) return [];
    landings.set(id, attachment);
    return [nic.data];
  });
  return networks.length === 0
    ? 'it has no NIC in a Linux bridge of this host'
    : { networks, landings };
}
