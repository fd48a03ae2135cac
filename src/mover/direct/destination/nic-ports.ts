import { setImmediate } from 'node:timers/promises';
import type { AgentConfig } from '../../../config.ts';
import type { NicPlan } from '../../../port/direct.ts';
import { godwitError, toGodwitError } from '../../../errors.ts';
import { rendezvousOf } from '../../../protocol/relay.ts';
import { ipsOf } from '../../../host/machine/host-names.ts';
import { Fleet } from '../../../host/fleet.ts';
import type { Log } from '../../../log.ts';
import type { DestinationState } from '../../../migration/direct/destination/destination.ts';
import { hooksOf } from '../../../host/machine/host-facts.ts';
import { readPlatform } from '../../../host/machine/platform.ts';
import {
  awaitBound,
  BINDS,
  judgeBinding,
  logicalPortOf,
  ovnIsHere,
} from '../../../network/bound.ts';
import { judgeCloud } from '../../../network/cloud.ts';
import { readNetwork } from '../../../network/host.ts';
import { mapNic } from '../../../network/mapping.ts';
import type { Landing } from '../../../network/landing.ts';
import { judgePortRules } from '../../../network/port-rules.ts';
import { judgePortSettings } from '../../../network/port-settings.ts';
import { announcePort, makePort, removePort, settleForwarding } from '../../../network/port.ts';
import type { Surrounding } from '../../../network/connections/whose.ts';
import type { RoutedRules } from '../../../network/routed.ts';
import { removeProbePort } from '../../../network/segment/probe-port.ts';
import { SegmentQuota } from '../../../network/segment/quota.ts';
import { createTap } from '../../../network/tap.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import { splitAddress } from '../../../protocol/names.ts';
import { networkName, type NicNetwork } from '../../../protocol/network.ts';
import type { Admission, Preparation } from '../../../protocol/peer/migration.ts';
import { askSegments } from './segments.ts';

const ANNOUNCE_MS = 10_000;

export class GuestPorts {
  /** Source bridge -> bridge here; the driver reads it each time. */
  readonly bridges: Record<string, string>;
  readonly #config: AgentConfig;
  readonly #landings = new Map<string, Landing>();
  readonly #quota: SegmentQuota;

  constructor(config: AgentConfig, nowMs: () => number) {
    this.#config = config;
    this.#quota = new SegmentQuota(config.name, nowMs);
    this.bridges = { ...config.bridges };
  }

  /** Finds the counterpart of each NIC's network here; a missing one is a refusing check. */
  async map(
    { networks = [], networkMap = {}, description }: Preparation,
    signal: AbortSignal,
  ): Promise<NamedCheck[]> {
    if (networks.length === 0) return [];
    const routes = networks.flatMap(({ attachment }) =>
      attachment.kind === 'routed' ? [...attachment.routes, ...attachment.gateways] : [],
    );
    const facts = await readNetwork({ routes }, signal);
    const rules = routes.length === 0 ? undefined : await routedRules(this.#config, signal);
    const { guestVlans: vlans } = this.#config.network;
    const names = { asked: networkMap, configured: this.#config.bridges, vlans };
    const [platform, hooks] = await Promise.all([readPlatform(), hooksOf(this.#config)]);
    const asksOvn = networks.some(({ attachment }) => attachment.kind === 'ovs' && attachment.ids);
    const hasOvn = asksOvn && (await ovnIsHere(signal));
    return networks.flatMap((nic): NamedCheck[] => {
      const mapping = mapNic(nic, names, facts, rules);
      if (mapping.ok) {
        const { landing } = mapping;
        this.#land(nic, landing);
        const evidence = `${nic.id}: ${mapping.evidence}, MTU ${landing.mtu}`;
        const side = 'destination';
        const bound = judgeBinding(nic, landing, { host: this.#config.name, hooks, hasOvn });
        const settings = judgePortSettings(nic, landing);
        const rules = judgePortRules(nic, { host: this.#config.name, hooks });
        const limits = judgeCloud(nic, landing, platform, { facts, hooks });
        return [
          { name: 'network', side, verdict: 'pass', evidence },
          ...(settings === undefined
            ? []
            : [{ name: 'port-settings', side, ...settings } as const]),
          ...rules.map((each) => ({ name: 'port-rules', side, ...each }) as const),
          ...(bound === undefined ? [] : [{ name: 'bound', side, ...bound } as const]),
          ...limits['own-macs'].map((each) => ({ name: 'own-macs', side, ...each }) as const),
          ...limits['raw-frames'].map((each) => ({ name: 'raw-frames', side, ...each }) as const),
        ];
      }
      const { what, hint } = mapping;
      const unmapped = { device: nic.id, guest: description.name, host: this.#config.name, what };
      const error = godwitError('GODWIT_DEVICE_UNMAPPED', unmapped, { hint }).toJSON();
      return [{ name: 'network', side: 'destination', verdict: 'refuse', evidence: what, error }];
    });
  }

  #land({ id, attachment }: NicNetwork, landing: Landing): void {
    this.#landings.set(id, landing);
    const name = networkName(attachment);
    if (landing.kind !== 'routed' && name !== undefined) this.bridges[name] = landing.bridge;
  }

  /**
   * Hosts that answer for the guest's addresses at its future NICs. Only after `map`. GODWIT_OVERLOADED if `from`
   * asks too often.
   */
  async segments(
    { id, from }: Pick<Admission, 'id' | 'from'>,
    preparation: Preparation,
    signal: AbortSignal,
  ): Promise<NamedCheck[]> {
    if (this.#config.network.segmentCheck) this.#quota.take(from, preparation.networks ?? []);
    return askSegments(this.#config, id, preparation, { landings: this.#landings }, signal);
  }

  /** Makes a NIC's port, still silent, for the hypervisor's user `owner`. Only after `map`. */
  async make(
    nic: NicPlan,
    { port, owner }: { readonly port: string; readonly owner: number | undefined },
    guest: string,
    signal: AbortSignal,
  ): Promise<void> {
    const landing = this.#landings.get(nic.id);
    const { bridge, multiQueue } = nic;
    if (landing !== undefined) return makePort(landing, port, { multiQueue, owner }, signal);
    if (bridge === undefined) throw this.#unknown(nic, guest);
    await createTap({ name: port, bridge, multiQueue, owner }, signal);
  }

  /** Waits for bindings by a network controller. Only after the hook was called. */
  async bound(
    networks: readonly NicNetwork[],
    ports: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const nic of networks) {
      const landing = this.#landings.get(nic.id);
      const id = landing === undefined ? undefined : logicalPortOf(nic, landing);
      const port = ports[nic.id];
      if (id === undefined || port === undefined) continue;
      const hooks = await hooksOf(this.#config);
      if (!hooks.includes(BINDS) && !(await ovnIsHere(signal))) continue;
      await awaitBound({ port, id, host: this.#config.name }, signal);
    }
  }

  /** Removes the guest's ports. Repeatable. */
  async remove({ ports, admission }: DestinationState, signal: AbortSignal): Promise<void> {
    for (const port of Object.values(ports)) await removePort(port, signal);
    // Left by a mover that died during a probe.
    await removeProbePort(admission.id);
  }

  #unknown({ id }: NicPlan, guest: string): Error {
    const what = 'the source did not say how its port is attached';
    return godwitError('GODWIT_DEVICE_UNMAPPED', {
      device: id,
      guest,
      host: this.#config.name,
      what,
    });
  }
}

/** Allowed routes of a guest, from the current configuration and fleet list. */
async function routedRules(config: AgentConfig, signal: AbortSignal): Promise<RoutedRules> {
  const { ips, unresolved } = await hostAddresses(config, signal);
  return { prefixes: config.network.routedPrefixes, hosts: ips, unresolved };
}

async function hostAddresses(
  config: AgentConfig,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<typeof ipsOf>>> {
  const all = [config, ...Object.values(new Fleet(config).peers())];
  // Guests must not take a relay's address either.
  const addresses = all
    .flatMap((each) => [each.address, ...each.addresses])
    .filter((each) => rendezvousOf(each) === undefined)
    .concat(config.relays.map((each) => each.address));
  return ipsOf(
    addresses.map((each) => splitAddress(each).host),
    signal,
  );
}

export async function surroundingOf(
  config: AgentConfig,
  signal: AbortSignal,
): Promise<Surrounding> {
  const [facts, { ips: hosts }] = await Promise.all([
    readNetwork({}, signal),
    hostAddresses(config, signal),
  ]);
  return { facts, hosts };
}

/** Routes this host's traffic to the guest. Never rejects, because the guest may run in any case. */
export async function announceRoutes(state: DestinationState, log: Log): Promise<void> {
  // Starting a program blocks this process, so the order to the hypervisor goes first.
  await setImmediate();
  for (const nic of state.preparation?.networks ?? []) {
    const port = state.ports[nic.id];
    if (port === undefined) continue;
    await announcePort(nic, port, AbortSignal.timeout(ANNOUNCE_MS)).catch((error: unknown) =>
      log.error({ error: toGodwitError(error), port }, 'routes of the guest were not announced'),
    );
  }
}

/** Removes stale tunnel entries for the guest. Never rejects, since learning repairs them in time. */
export async function settleTunnels(state: DestinationState, log: Log): Promise<void> {
  const networks = state.preparation?.networks ?? [];
  await settleForwarding(networks, state.ports, AbortSignal.timeout(ANNOUNCE_MS)).catch(
    (error: unknown) =>
      log.warn({ error: toGodwitError(error) }, 'the forwarding entries were not settled'),
  );
}
