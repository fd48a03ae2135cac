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

/** Current attachments of the guest's NICs; unknown ones are skipped. */
export async function readNics(
  nics: readonly SourceNic[],
  signal: AbortSignal,
): Promise<NicNetwork[]> {
  if (nics.length === 0) return [];
  const facts = await readNetwork({ ports: nics.map(({ port }) => port) }, signal);
  return nics.flatMap((nic) => nicOf(nic, facts) ?? []);
}

/** Makes a NIC's port, attached and silent. Repeatable; leaves nothing after a failure. */
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
    // Skips the steps of createTap, which also repairs a half-made port.
    await carryOut(prepare.slice(2), signal);
  } catch (thrown) {
    await removeTap(port, AbortSignal.timeout(5000));
    throw thrown;
  }
}

/** Routes this host's traffic to the guest's `port`, if it is routed. Repeatable. */
export async function announcePort(
  nic: NicNetwork,
  port: string,
  signal: AbortSignal,
): Promise<void> {
  await carryOn(arrivalSteps(nic, port), signal);
}

/** Removes entries of the guests' tunnels that lead to other hosts; `ports` by NIC. Repeatable. */
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

/** Another tenant may have a guest with the same MAC in another segment. */
function tunnelsBeside(port: string | undefined, links: readonly Link[]): Set<string> {
  const master = links.find(({ ifname }) => ifname === port)?.master;
  const beside = links.filter((link) => link.kind === 'vxlan' && link.master === master);
  return new Set(master === undefined ? [] : beside.map(({ ifname }) => ifname));
}

/** Removes this host's routes to a guest that has left. Repeatable. */
export async function withdrawPort(nic: NicNetwork, signal: AbortSignal): Promise<void> {
  await carryOn(departureSteps(nic), signal);
}

/** Removes a port of any kind. Repeatable. A silent Open vSwitch keeps its record of the port. */
export async function removePort(port: string, signal: AbortSignal): Promise<void> {
  await unplug(port, signal).catch(() => undefined);
  await removeTap(port, signal);
}
