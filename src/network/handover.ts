import type { Attachment, NicNetwork, PortVlan } from '../protocol/network.ts';
import type { PortSettings } from '../protocol/port-settings.ts';
import type { Forwarding } from './facts.ts';
import type { Landing, ToolCommand } from './landing.ts';
import { settingsCommand } from './port-settings.ts';
import { portMac, tapWords, type TapPlan } from './tap.ts';

/** One command of the host's tools or one kernel setting, with its undo. */
export interface Step {
  readonly does: string;
  readonly run: Command;
  /** Absent: it disappears with the port. */
  readonly undo?: Command;
  /** Route that may exist over that port, and then belongs to this migration. */
  readonly route?: OwnRoute;
}

export interface OwnRoute {
  /** Includes the length. */
  readonly to: string;
  readonly port: string;
}

export type Command =
  | ToolCommand
  /** Below /proc/sys/net. */
  | { readonly tool: 'sysctl'; readonly key: string; readonly value: string };

/**
 * Steps of the destination for a NIC: `prepare` before memory moves (the port exists, but is silent), `resume` once
 * the guest runs. Every step may run twice.
 */
export interface ArrivalPlan {
  readonly prepare: readonly Step[];
  readonly resume: readonly Step[];
}

const ip = (...words: string[]): Command => ({ tool: 'ip', words });
const bridge = (...words: string[]): Command => ({ tool: 'bridge', words });
/** Waits for the switch, but not if it is down. */
const ovs = (...words: string[]): Command => ({
  tool: 'ovs-vsctl',
  words: ['--timeout=4', ...words],
});

/** Makes a port that is up but in no bridge, with several queues if the NIC has them. */
function tap(port: string, mtu: number, made: PortKind, ...more: string[]): Step[] {
  return [
    {
      does: `make port ${port}`,
      run: ip(...tapWords(port, made)),
      undo: ip('link', 'del', 'dev', port),
    },
    { does: `set ${port}`, run: ip('link', 'set', 'dev', port, ...more, 'mtu', `${mtu}`, 'up') },
  ];
}

/** Requirements of a NIC for its port, and the user who may attach. */
export type PortKind = Pick<TapPlan, 'multiQueue' | 'owner'>;

export function arrivalPlan(landing: Landing, port: string, made: PortKind = {}): ArrivalPlan {
  switch (landing.kind) {
    case 'bridge': {
      const joined = tap(port, landing.mtu, made, 'master', landing.bridge);
      return {
        prepare: [
          ...joined,
          ...vlanSteps(port, landing.vlan),
          ...settingSteps(port, landing.settings),
        ],
        // Not earlier, because an entry attracts the guest's frames.
        resume: staticSteps('announce', port, landing.settings),
      };
    }
    case 'ovs':
      return {
        prepare: [
          // Open vSwitch also takes the lowest MAC of its ports.
          ...tap(port, landing.mtu, made, 'address', portMac(port)),
          plugStep(port, landing),
        ],
        resume: [],
      };
    case 'routed':
      return {
        prepare: [
          ...tap(port, landing.mtu, made, 'address', landing.mac),
          ...routedPort(port, landing),
        ],
        // Not earlier, because a route attracts traffic for the guest.
        resume: landing.routes.map((route) => routeStep('announce', port, route)),
      };
  }
}

/** Steps of the source for a NIC after the right to run has left; its port is removed later. Pure. */
export function departureSteps({ attachment, port }: NicNetwork): Step[] {
  return leadingSteps('withdraw', port, attachment);
}

/** Steps that route to the guest's port, on arrival or return. Pure. */
export function arrivalSteps({ attachment }: NicNetwork, port: string): Step[] {
  return leadingSteps('announce', port, attachment);
}

type Verb = 'announce' | 'withdraw';

function leadingSteps(verb: Verb, port: string, attachment: Attachment): Step[] {
  if (attachment.kind === 'bridge') return staticSteps(verb, port, attachment.settings);
  if (attachment.kind !== 'routed') return [];
  return attachment.routes.map((route) => routeStep(verb, port, route));
}

/** Bridge entries that the port's owner made by hand. */
function staticSteps(verb: Verb, port: string, { staticMacs = [] }: PortSettings = {}): Step[] {
  return staticMacs.map(({ mac, vlan, sticky }) => {
    const tag = vlan === undefined ? [] : ['vlan', `${vlan}`];
    const kind = sticky === true ? ['static', 'sticky'] : ['static'];
    const add = bridge('fdb', 'add', mac, 'dev', port, 'master', ...kind, ...tag);
    const del = bridge('fdb', 'del', mac, 'dev', port, 'master', ...tag);
    return verb === 'announce'
      ? { does: `put ${mac} behind ${port}`, run: add, undo: del }
      : { does: `forget that ${mac} is behind ${port}`, run: del, undo: add };
  });
}

function settingSteps(port: string, settings: PortSettings | undefined): Step[] {
  const run = settingsCommand(port, settings);
  return run === undefined ? [] : [{ does: `set ${port} as the port at the source`, run }];
}

/** Entries of VXLAN devices here that send frames for the guest to another host; obsolete once it is here. Pure. */
export function staleForwarding(
  nic: NicNetwork,
  tunnels: ReadonlySet<string>,
  forwarding: readonly Forwarding[],
): Step[] {
  return forwarding.flatMap(({ mac, ifname, dst }) => {
    if (mac.toLowerCase() !== nic.mac || dst === undefined || !tunnels.has(ifname)) return [];
    const words = [mac, 'dev', ifname, 'dst', dst, 'self'];
    return [
      {
        does: `forget that ${mac} is behind ${dst}`,
        run: bridge('fdb', 'del', ...words),
        undo: bridge('fdb', 'add', ...words),
      },
    ];
  });
}

function routeStep(verb: Verb, port: string, route: string): Step {
  const family = route.includes(':') ? '-6' : '-4';
  // Never replaces a route, which may have another owner.
  const add = ip(family, 'route', 'add', route, 'dev', port);
  const del = ip(family, 'route', 'del', route, 'dev', port);
  return verb === 'announce'
    ? { does: `announce ${route}`, run: add, undo: del, route: { to: route, port } }
    : { does: `withdraw ${route}`, run: del, undo: add };
}

function routedPort(port: string, landing: Extract<Landing, { kind: 'routed' }>): Step[] {
  const settings: [string, boolean][] = [
    [`ipv4/conf/${port}/proxy_arp`, landing.proxyArp],
    [`ipv6/conf/${port}/proxy_ndp`, landing.proxyNdp],
  ];
  return [
    ...landing.gateways.map((gateway) => {
      const words = ['addr', 'replace', gateway, 'dev', port];
      // Duplicate detection would only take time, since the port has one user.
      const own = gateway.includes(':') ? [...words, 'nodad'] : words;
      return { does: `give ${port} the gateway ${gateway}`, run: ip(...own) };
    }),
    ...settings.flatMap(([key, on]): Step[] =>
      on ? [{ does: `set ${key}`, run: { tool: 'sysctl', key, value: '1' } }] : [],
    ),
    // Proxy ARP normally delays answers by up to a second.
    ...(landing.proxyArp
      ? [
          {
            does: `answer at once on ${port}`,
            run: { tool: 'sysctl', key: `ipv4/neigh/${port}/proxy_delay`, value: '0' } as const,
          },
        ]
      : []),
  ];
}

/** Adds a port with its VLANs to an Open vSwitch bridge. Pure. */
export function plugStep(
  port: string,
  {
    bridge: to,
    vlan,
    settings,
  }: {
    readonly bridge: string;
    readonly vlan?: PortVlan | undefined;
    readonly settings?: PortSettings | undefined;
  },
): Step {
  const add = ['--may-exist', 'add-port', to, port];
  const marks = [...ovsMarks(vlan), ...(settings?.isolated === true ? ['protected=true'] : [])];
  const set = marks.length === 0 ? [] : ['--', 'set', 'port', port, ...marks];
  return {
    does: `add ${port} to ${to}`,
    run: ovs(...add, ...set),
    undo: unplugStep(port).run,
  };
}

function ovsMarks(vlan: PortVlan | undefined): string[] {
  if (vlan === undefined) return [];
  if (vlan.mode === 'access') return [`tag=${vlan.tag}`];
  const { native, tags } = vlan;
  const own = native === undefined ? [] : [`tag=${native}`, 'vlan_mode=native-untagged'];
  return tags.length === 0 ? own : [...own, `trunks=[${tags.join(',')}]`];
}

/** Removes a port from Open vSwitch, even if the switch does not run. Pure. */
export function unplugStep(port: string): Step & { readonly run: ToolCommand } {
  const words = ['--timeout=2', '--no-wait', '--if-exists', 'del-port', port];
  return { does: `take ${port} out of Open vSwitch`, run: { tool: 'ovs-vsctl', words } };
}

export function vlanSteps(port: string, vlan: PortVlan | undefined): Step[] {
  if (vlan === undefined) return [];
  const add = (tag: number, ...marks: string[]): Step => ({
    does: `let ${port} carry VLAN ${tag}`,
    run: bridge('vlan', 'add', 'dev', port, 'vid', `${tag}`, ...marks),
  });
  const native = vlan.mode === 'access' ? vlan.tag : vlan.native;
  const tagged = vlan.mode === 'trunk' ? vlan.tags.filter((tag) => tag !== native) : [];
  const isDefault = native === 1 || tagged.includes(1);
  return [
    ...(native === undefined ? [] : [add(native, 'pvid', 'untagged')]),
    ...tagged.map((tag) => add(tag)),
    // A new port is in VLAN 1 by default.
    ...(isDefault
      ? []
      : [
          {
            does: `take ${port} out of VLAN 1`,
            run: bridge('vlan', 'del', 'dev', port, 'vid', '1'),
          },
        ]),
  ];
}

/** Commands that undo steps, last first. Pure. */
export function undoing(steps: readonly Step[]): Command[] {
  return steps.toReversed().flatMap(({ undo }) => (undo === undefined ? [] : [undo]));
}
