/** A guest's port on the host where it starts, for each kind of network; lines as in network-plan.ts. */
import { godwitError } from '../src/errors.ts';
import { CLIENT_ROUTE_OPTIONS, kindOf, ownPort, untagged } from './guest-plane.ts';
import type { NetworkStep } from './namespaces.ts';
import {
  CLIENT_ADDRESS,
  HOST_BRIDGE,
  LAB_VLAN,
  type LabPlan,
  namespaceOf,
  ROUTED_GATEWAY,
  underlayAddress,
} from './plan.ts';

/** In a lab with VLANs, the one that the guest is in. Default: the lab's. */
interface GuestPlace {
  readonly address: string;
  readonly vlan?: number | undefined;
}

/** GODWIT_USAGE for a VLAN that a guest of this lab cannot be in. */
export function checkVlan(plan: Pick<LabPlan, 'network'>, vlan: number | undefined): void {
  if (vlan === undefined) return;
  const what =
    plan.network !== 'ovs'
      ? 'only in a lab of Open vSwitch a guest can be put into another VLAN'
      : Number.isInteger(vlan) && vlan >= 1 && vlan <= 4094
        ? undefined
        : `${vlan} is no VLAN`;
  if (what === undefined) return;
  const hint = 'Choose from 1 to 4094, in a lab that is up with --network ovs.';
  throw godwitError('GODWIT_USAGE', { what }, { hint });
}

/** A guest's port on the host where it starts. A migration makes those that follow. */
export function guestPortSteps(
  plan: LabPlan,
  host: string,
  tap: string,
  guest: GuestPlace,
): NetworkStep[] {
  const namespace = namespaceOf(plan.name, host);
  const made = `tuntap add dev ${tap} mode tap`;
  const joined = [made, `link set ${tap} master ${HOST_BRIDGE} up`];
  switch (kindOf(plan)) {
    case 'bridge':
    case 'vxlan':
      return [{ tool: 'ip', namespace, lines: joined }];
    case 'vlan':
      return [
        { tool: 'ip', namespace, lines: joined },
        { tool: 'bridge', namespace, lines: [untagged(tap)] },
      ];
    case 'ovs':
      return ovsPortSteps(plan, namespace, tap, guest);
    case 'routed':
      return routedPortSteps(plan, host, tap, guest.address);
  }
}

/** The client has a link of its own in each VLAN, and leads to each guest by the one that it is in. */
function ovsPortSteps(
  plan: LabPlan,
  namespace: string,
  tap: string,
  { address, vlan = LAB_VLAN }: GuestPlace,
): NetworkStep[] {
  const client = namespaceOf(plan.name, 'client');
  const link = vlan === LAB_VLAN ? 'eth0' : `vlan${vlan}`;
  const route = `route replace ${address}/32 dev ${link} src ${CLIENT_ADDRESS}`;
  return [
    { tool: 'ip', namespace, lines: [`tuntap add dev ${tap} mode tap`, `link set ${tap} up`] },
    { tool: 'ovs-vsctl', namespace, lines: [`add-port ${HOST_BRIDGE} ${tap} tag=${vlan}`] },
    { tool: 'ovs-vsctl', namespace: client, lines: ownPort(link, vlan) },
    {
      tool: 'ip',
      namespace: client,
      lines: [
        // eth0 has its address already.
        ...(link === 'eth0' ? [] : [`addr replace ${CLIENT_ADDRESS}/32 dev ${link}`]),
        `link set ${link} up`,
        `${route} ${CLIENT_ROUTE_OPTIONS}`,
      ],
    },
  ];
}

/** What is to be forgotten of a port before its link goes. */
export function guestPortRemoval(plan: LabPlan, host: string, tap: string): NetworkStep[] {
  if (kindOf(plan) !== 'ovs') return [];
  const lines = [`--if-exists del-port ${tap}`];
  return [{ tool: 'ovs-vsctl', namespace: namespaceOf(plan.name, host), lines }];
}

function routedPortSteps(plan: LabPlan, host: string, tap: string, address: string): NetworkStep[] {
  const namespace = namespaceOf(plan.name, host);
  const made = `tuntap add dev ${tap} mode tap`;
  const gateway = [`link set ${tap} up`, `addr add ${ROUTED_GATEWAY} dev ${tap}`];
  return [
    { tool: 'ip', namespace, lines: [made, ...gateway, `route add ${address}/32 dev ${tap}`] },
    {
      tool: 'sysctl',
      namespace,
      // The guest takes the client for its neighbour: the host answers for it, and at once.
      lines: [`ipv4/conf/${tap}/proxy_arp=1`, `ipv4/neigh/${tap}/proxy_delay=0`],
    },
    {
      tool: 'ip',
      namespace: namespaceOf(plan.name, 'switch'),
      lines: [`route replace ${address}/32 via ${underlayAddress(host)}`],
    },
  ];
}
