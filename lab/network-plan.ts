/**
 * The lab's network as lines for `ip -batch` and `tc -batch`, per namespace and in order.
 *
 *   client ── lan (switch) ── br0 of each host ── taps of its guests         guest plane
 *             mig (switch) ── mig0 of each host ── agents, migration streams  migration plane
 *             sto (switch) ── sto0 of each host, and the NFS server ── where disks lie on its export
 *             mig1 (switch) ── mig1 of each host ── with several paths: the same over another way
 *
 * With a delay, the switch has no `mig` bridge: each port has a bridge with a tap of its own, and
 * the relay carries frames between the taps (see relay/).
 */
import { BRIDGE, clientPlane, guestPlaneSteps, hostGuestPlane } from './guest-plane.ts';
import type { NetworkStep } from './namespaces.ts';
import {
  hostAddress,
  type LabPlan,
  migrationLink,
  namespaceOf,
  pathsOf,
  relayedMtu,
  servedStorage,
  STORAGE_LINK,
  STORAGE_SERVER,
  storageAddress,
} from './plan.ts';

/** The commands that turn empty namespaces into the lab's network. */
export function networkSteps(plan: LabPlan): NetworkStep[] {
  const relayed = (plan.delayMs ?? 0) > 0;
  const shaping = shapingSteps(plan, relayed);
  return [
    switchStep(plan, relayed),
    ...plan.hosts.map((host) => hostStep(plan, host, relayed)),
    clientStep(plan),
    { tool: 'ip', namespace: namespaceOf(plan.name, 'switch'), lines: portLines(plan, relayed) },
    ...guestPlaneSteps(plan),
    ...storageSteps(plan),
    ...shaping,
  ];
}

/** Interface names of a host's port on a path in the switch namespace. */
export function portNames(host: string, path = 0): { bridge: string; tap: string; port: string } {
  const port = path === 0 ? `mig-${host}` : `mig${path}-${host}`;
  return { bridge: `mbr-${host}`, tap: `mtap-${host}`, port };
}

/** The switch's bridge that joins the hosts on a path. */
export function pathBridge(path: number): string {
  return path === 0 ? 'mig' : `mig${path}`;
}

function switchStep(plan: LabPlan, relayed: boolean): NetworkStep {
  const bridges = relayed
    ? plan.hosts.map((host) => portNames(host).bridge)
    : pathsOf(plan).map(pathBridge);
  const lines = ['link set lo up'];
  for (const bridge of ['lan', ...bridges]) {
    lines.push(`link add ${bridge} ${BRIDGE}`, `link set ${bridge} up`);
  }
  return { tool: 'ip', namespace: namespaceOf(plan.name, 'switch'), lines };
}

function hostStep(plan: LabPlan, host: string, relayed: boolean): NetworkStep {
  const peer = namespaceOf(plan.name, 'switch');
  const mtu = relayed ? ` mtu ${relayedMtu(plan.linkBytesPerSecond)}` : '';
  const links = pathsOf(plan).flatMap((path) => {
    const { port } = portNames(host, path);
    const link = migrationLink(path);
    return [
      `link add ${link}${mtu} type veth peer name ${port}${mtu} netns ${peer}`,
      `addr add ${hostAddress(host, path)}/24 dev ${link}`,
      `link set ${link} up`,
    ];
  });
  return {
    tool: 'ip',
    namespace: namespaceOf(plan.name, host),
    lines: ['link set lo up', ...hostGuestPlane(plan, host, peer), ...links],
  };
}

function clientStep(plan: LabPlan): NetworkStep {
  return {
    tool: 'ip',
    namespace: namespaceOf(plan.name, 'client'),
    lines: ['link set lo up', ...clientPlane(plan, namespaceOf(plan.name, 'switch'))],
  };
}

function portLines(plan: LabPlan, relayed: boolean): string[] {
  const lines = [...plan.hosts.map((host) => `lan-${host}`), 'lan-client'].map(
    (port) => `link set ${port} master lan up`,
  );
  for (const host of plan.hosts) {
    const { bridge, tap } = portNames(host);
    for (const path of pathsOf(plan)) {
      const { port } = portNames(host, path);
      lines.push(`link set ${port} master ${relayed ? bridge : pathBridge(path)} up`);
    }
    if (!relayed) continue;
    lines.push(
      `tuntap add dev ${tap} mode tap`,
      `link set ${tap} mtu ${relayedMtu(plan.linkBytesPerSecond)}`,
      `link set ${tap} master ${bridge} up`,
    );
  }
  return lines;
}

/** Neither capped nor delayed: storage has links of its own. */
function storageSteps(plan: LabPlan): NetworkStep[] {
  const server = servedStorage(plan);
  if (server === undefined) return [];
  const peer = namespaceOf(plan.name, 'switch');
  const ends = [
    { member: server, address: STORAGE_SERVER },
    ...plan.hosts.map((host) => ({ member: host, address: storageAddress(host) })),
  ];
  const lines = [`link add sto ${BRIDGE}`, 'link set sto up'];
  return [
    { tool: 'ip', namespace: peer, lines },
    ...ends.map(({ member, address }): NetworkStep => {
      const link = `link add ${STORAGE_LINK} type veth peer name sto-${member} netns ${peer}`;
      const own = [`addr add ${address}/24 dev ${STORAGE_LINK}`, `link set ${STORAGE_LINK} up`];
      const namespace = namespaceOf(plan.name, member);
      return { tool: 'ip', namespace, lines: ['link set lo up', link, ...own] };
    }),
    {
      tool: 'ip',
      namespace: peer,
      lines: ends.map(({ member }) => `link set sto-${member} master sto up`),
    },
  ];
}

function shapingSteps(plan: LabPlan, relayed: boolean): NetworkStep[] {
  const rate = plan.linkBytesPerSecond;
  if (rate === undefined) return [];
  const line = (device: string): string =>
    `qdisc add dev ${device} root tbf rate ${rate * 8}bit burst ${burstBytes(rate, relayed)} latency 50ms`;
  return [
    {
      tool: 'tc',
      namespace: namespaceOf(plan.name, 'switch'),
      lines: plan.hosts.flatMap((host) =>
        pathsOf(plan).map((path) => line(portNames(host, path).port)),
      ),
    },
    ...plan.hosts.map((host): NetworkStep => {
      const lines = pathsOf(plan).map((path) => line(migrationLink(path)));
      return { tool: 'tc', namespace: namespaceOf(plan.name, host), lines };
    }),
  ];
}

/** A bucket of 4 ms (a timer tick), but room for two of the largest frames or offloaded segments. */
function burstBytes(bytesPerSecond: number, relayed: boolean): number {
  const largest = relayed ? relayedMtu(bytesPerSecond) + 14 : 65_536;
  return Math.max(Math.ceil(bytesPerSecond / 250), 2 * largest);
}
