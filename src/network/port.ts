import type { NicNetwork } from '../protocol/network.ts';
import { nicOf, type SourceNic } from './attachment.ts';
import {
  arrivalPlan,
  arrivalSteps,
  departureSteps,
  staleForwarding,
  type PortKind,
} from './handover.ts';
import type { Link } from './facts.ts';
import { carryOn, carryOut, readNetwork } from './host.ts';
import type { Landing } from './landing.ts';
import { unplug } from './openvswitch.ts';
import { createTap, removeTap } from './tap.ts';

/** How the guest's NICs are attached here; one that we know nothing of is left out. */
export async function readNics(
  nics: readonly SourceNic[],
  signal: AbortSignal,
): Promise<NicNetwork[]> {
  if (nics.length === 0) return [];
  const facts = await readNetwork({ ports: nics.map(({ port }) => port) }, signal);
  return nics.flatMap((nic) => nicOf(nic, facts) ?? []);
}

/** Makes a NIC's port, attached and silent. May run twice. Leaves nothing when it fails. */
export async function makePort(
  landing: Landing,
  port: string,
  made: PortKind,
  signal: AbortSignal,
): Promise<void> {
  const { prepare } = arrivalPlan(landing, port, made);
  if (landing.kind !== 'bridge') return carryOut(prepare, signal);
  await createTap({ name: port, bridge: landing.bridge, ...made }, signal);
  try {
    // The rest: making the port and joining the bridge are createTap's, which puts a half-made one right.
    await carryOut(prepare.slice(2), signal);
  } catch (thrown) {
    await removeTap(port, AbortSignal.timeout(5000));
    throw thrown;
  }
}

/** Sets on this host that the guest is behind `port` now, where the host routes to it. May run twice. */
export async function announcePort(
  nic: NicNetwork,
  port: string,
  signal: AbortSignal,
): Promise<void> {
  await carryOn(arrivalSteps(nic, port), signal);
}

/** No tunnel of the guests' own bridges leads elsewhere for a guest that is here, `ports` by NIC. May run twice. */
export async function settleForwarding(
  nics: readonly NicNetwork[],
  ports: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const overlaid = nics.filter(
    ({ attachment }) => attachment.kind === 'bridge' && attachment.vxlan !== undefined,
  );
  if (overlaid.length === 0) return;
  const { links, forwarding } = await readNetwork({}, signal);
  const steps = overlaid.flatMap((nic) =>
    staleForwarding(nic, tunnelsBeside(ports[nic.id], links), forwarding),
  );
  await carryOn(steps, signal);
}

/** Another tenant may have a guest of the same MAC in another segment. */
function tunnelsBeside(port: string | undefined, links: readonly Link[]): Set<string> {
  const master = links.find(({ ifname }) => ifname === port)?.master;
  const beside = links.filter((link) => link.kind === 'vxlan' && link.master === master);
  return new Set(master === undefined ? [] : beside.map(({ ifname }) => ifname));
}

/** The guest has left: this host no longer leads to it. May run twice. */
export async function withdrawPort(nic: NicNetwork, signal: AbortSignal): Promise<void> {
  await carryOn(departureSteps(nic), signal);
}

/**
 * Removes a port that the guest no longer has, whatever it is in. May run twice. An Open vSwitch that does not answer
 * keeps its record of the port, and nothing else.
 */
export async function removePort(port: string, signal: AbortSignal): Promise<void> {
  await unplug(port, signal).catch(() => undefined);
  await removeTap(port, signal);
}
