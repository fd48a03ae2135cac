import { passes, warns, type Finding } from '../migration/preflight/finding.ts';
import type { Platform } from '../protocol/peer/host-facts.ts';
import type { NicNetwork } from '../protocol/network.ts';
import type { NetworkFacts } from './facts.ts';
import type { Landing } from './landing.ts';
import type { OwnHooks } from './addresses.ts';

/** Limits that a cloud sets for guests on its machines. Pure. */

export interface CloudFindings {
  readonly 'own-macs': readonly Finding[];
  readonly 'raw-frames': readonly Finding[];
}

const NONE: CloudFindings = { 'own-macs': [], 'raw-frames': [] };

/**
 * A cloud's network only delivers to MACs and addresses that it assigned, carries only IP, and answers ARP itself. A
 * guest there is reachable through an overlay, or by a route of the cloud, but not over a bridge. Empty if this host
 * is not in a known cloud.
 */
export function judgeCloud(
  nic: NicNetwork,
  landing: Landing,
  { cloud }: Pick<Platform, 'cloud'>,
  { facts, hooks }: { readonly facts: NetworkFacts; readonly hooks: OwnHooks },
): CloudFindings {
  if (cloud === undefined) return NONE;
  if (landing.kind === 'routed') return { ...NONE, 'own-macs': [routed(nic, cloud, hooks)] };
  const uplink = uplinkOf(landing, facts);
  if (uplink === undefined) {
    const inside = `${nic.id}: ${landing.bridge} leads out over an overlay or not at all, whose frames ${cloud} does not see`;
    return { 'own-macs': [passes(inside)], 'raw-frames': [passes(inside)] };
  }
  const over = `${nic.id}: ${landing.bridge} leads out over ${uplink}`;
  const hint = `Use a guest network that is an overlay between the hosts (VXLAN), or a routed one, of which the cloud's route table knows the address.`;
  return {
    'own-macs': [
      warns(
        `${over}, where ${cloud} delivers only to the MAC and the addresses that it gave this machine: nothing reaches the guest's ${nic.mac}`,
        hint,
      ),
    ],
    'raw-frames': [
      warns(
        `${over}, where ${cloud} carries IP alone and answers ARP itself: the guest's announcement (RARP, gratuitous ARP) reaches nobody`,
        hint,
      ),
    ],
  };
}

function routed({ id, addresses }: NicNetwork, cloud: string, hooks: OwnHooks): Finding {
  const own = addresses.join(', ') || 'its address';
  const evidence = `${id}: ${cloud} delivers ${own} only to the machine that its route table or a secondary address names`;
  if (hooks.includes('after-resume')) return passes(`${evidence}: the hook after-resume names it`);
  const hint =
    'Install the hook after-resume on this host: it tells the cloud where the address is now. Turn the check of source and destination addresses off for this machine.';
  return warns(evidence, hint);
}

/** Link that a bridge's frames leave this host by, unchanged; undefined if there is none, or only tunnels. */
function uplinkOf(
  { bridge }: { readonly bridge: string },
  facts: NetworkFacts,
): string | undefined {
  const plugged = new Set(
    facts.ovsPorts.filter((port) => port.bridge === bridge).map(({ name }) => name),
  );
  return facts.links.find(
    ({ ifname, master, kind }) =>
      (master === bridge || plugged.has(ifname)) &&
      ifname !== bridge &&
      (kind === undefined || LEAVES.has(kind)),
  )?.ifname;
}

/** Kinds of links that send frames unchanged; hardware has no kind. */
const LEAVES: ReadonlySet<string> = new Set(['bond', 'vlan', 'team']);
