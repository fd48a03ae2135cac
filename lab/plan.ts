/**
 * Names and addresses of a lab, computed and never looked up: everything lives in the lab's own
 * network namespaces, so two labs may use the same addresses.
 */
import { godwitError } from '../src/errors.ts';

export const MAX_HOSTS = 16;
export const MAX_GUESTS = 200;

/** Guest plane: guests and the client. Migration plane: agents and migration streams. */
export const GUEST_NETWORK = '10.88.0.0/24';
export const CLIENT_ADDRESS = '10.88.0.10';
export const AGENT_PORT = 7443;
export const COUNTER_PORT = 7001;
export const COMMAND_PORT = 7002;

/** With a delay, frames pass a user-space relay: few large frames are what keeps it fast. */
export const MAX_RELAYED_MTU = 60_000;
const MIN_RELAYED_MTU = 1500;
const FRAME_SECONDS = 0.0012;

/**
 * A frame takes a little more than a millisecond of a thin link: its queue of 50 ms must have room for the smallest
 * windows of several streams (BBR's is of four segments), or one of them starves until it times out.
 */
export function relayedMtu(linkBytesPerSecond = Infinity): number {
  const mtu = Math.round(linkBytesPerSecond * FRAME_SECONDS);
  return Math.min(MAX_RELAYED_MTU, Math.max(MIN_RELAYED_MTU, mtu));
}

export const HOST_BRIDGE = 'br0';
/** A host's migration links are mig0 and, in a lab with several paths, mig1 and so on. */
export function migrationLink(path: number): string {
  return `mig${path}`;
}

export const MAX_PATHS = 4;

export const LAB_STORAGE = ['shared', 'local', 'nfs', 'iscsi', 'rbd'] as const;
export type LabStorage = (typeof LAB_STORAGE)[number];
/** Storage of a server of the lab's own, which QEMUs open by themselves. */
export type ServedStorage = Exclude<LabStorage, 'shared' | 'local'>;

/** What kind of server a lab has for its storage; undefined where it has none. */
export function servedStorage({ storage }: Pick<LabPlan, 'storage'>): ServedStorage | undefined {
  return storage === 'shared' || storage === 'local' ? undefined : storage;
}

/** What a lab is asked to be. Rates are bytes/s; `delayMs` is the round trip between two hosts. */
export interface LabPlan {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly linkBytesPerSecond: number | undefined;
  readonly delayMs: number | undefined;
  /** Migration links of each host: separate networks, with an address of the host on each. Absent: 1. */
  readonly paths?: number | undefined;
  /** One directory that every host sees, one for each host alone, or what a server of NFS, iSCSI or Ceph serves. Absent: shared. */
  readonly storage?: LabStorage | undefined;
  /** How guests are joined with the client and each other. Absent: `bridge`. */
  readonly network?: LabNetwork | undefined;
  /** Who runs the guests, or whose guests are beside them. Absent: QEMU alone, which Godwit drives by itself. */
  readonly manager?: LabManager | undefined;
  /** A directory with unpacked packages of the manager, which take the place of the machine's own. */
  readonly managerPackages?: string | undefined;
}

export const LAB_MANAGERS = ['libvirt', 'vsphere', 'podman'] as const;
export type LabManager = (typeof LAB_MANAGERS)[number];

/** The manager that runs the lab's own guests. A vCenter has hosts and guests of its own, beside the lab's. */
export function managerOfGuests({ manager }: Pick<LabPlan, 'manager'>): 'libvirt' | undefined {
  return manager === 'libvirt' ? manager : undefined;
}

/**
 * `bridge`: one segment, a bridge on each host. `vxlan`: the same over tunnels, a bridge with a tunnel on each host.
 * `routed`: no segment, each host routes to its guests, and a router between them knows which host has which.
 * `vlan`: guests are in a VLAN, which the bridges' uplinks carry with its tag. `ovs`: the same, and the bridges are of an
 * Open vSwitch on each host.
 */
export const LAB_NETWORKS = ['bridge', 'vxlan', 'routed', 'vlan', 'ovs'] as const;
export type LabNetwork = (typeof LAB_NETWORKS)[number];

/** What carries tunnels or routes between the hosts, the client and the router. */
export const UNDERLAY_ROUTER = '10.89.0.1';
export const UNDERLAY_CLIENT = '10.89.0.10';
/** Address of a host there. */
export function underlayAddress(host: string): string {
  return `10.89.0.${11 + host.charCodeAt(0) - 97}`;
}
/** Storage plane, where there is one: a server in a namespace of its own (by its kind), and a link of each host. */
export const STORAGE_LINK = 'sto0';
export const STORAGE_SERVER = '10.76.0.2';
/** As the server has it, in mounts of its own. */
export const NFS_EXPORT = '/mnt/vm';
/** Address of a host there. */
export function storageAddress(host: string): string {
  return `10.76.0.${11 + host.charCodeAt(0) - 97}`;
}

export const LAB_VNI = 88;
/** The VLAN of guests, and of the client, where there are VLANs. */
export const LAB_VLAN = 10;
/** The guests' gateway in a routed lab, the same on every host. */
export const ROUTED_GATEWAY = '169.254.1.1/32';

const GUEST_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/;

/** Throws GODWIT_USAGE with the rule when `name` cannot be a guest's. */
export function checkGuestName(name: string): string {
  if (GUEST_NAME.test(name)) return name;
  throw godwitError(
    'GODWIT_USAGE',
    { what: `"${name.slice(0, 40)}" cannot be a guest's name` },
    {
      hint: 'Use up to 31 letters, digits, dots, dashes and underscores, beginning with a letter or digit.',
    },
  );
}

/** `a`, `b`, `c`, ... Throws GODWIT_USAGE when `count` is out of range. */
export function hostNames(count: number): string[] {
  if (!Number.isInteger(count) || count < 1 || count > MAX_HOSTS) {
    throw godwitError(
      'GODWIT_USAGE',
      { what: `a lab cannot have ${count} hosts` },
      { hint: `Choose from 1 to ${MAX_HOSTS}.` },
    );
  }
  return Array.from({ length: count }, (_, index) => String.fromCharCode(97 + index));
}

export function namespaceOf(lab: string, member: string): string {
  return `gw-${lab}-${member}`;
}

/** Every namespace of a lab: its hosts', the client's and the switch's, and that of its storage's server. */
export function namespacesOf(plan: Pick<LabPlan, 'name' | 'hosts' | 'storage'>): string[] {
  const server = servedStorage(plan);
  const members = [...plan.hosts, 'client', 'switch', ...(server === undefined ? [] : [server])];
  return members.map((member) => namespaceOf(plan.name, member));
}

/** True for a namespace that belongs to `lab`, whatever the number of its hosts. */
export function isNamespaceOf(lab: string, namespace: string): boolean {
  const prefix = namespaceOf(lab, '');
  return (
    namespace.startsWith(prefix) &&
    /^([a-z]|client|switch|nfs|iscsi|rbd)$/.test(namespace.slice(prefix.length))
  );
}

/** Address of a host on the migration plane; `path` counts from 0. */
export function hostAddress(host: string, path = 0): string {
  return `10.77.${path}.${11 + host.charCodeAt(0) - 97}`;
}

/** The paths of a lab by their numbers, the main one first. */
export function pathsOf({ paths = 1 }: Pick<LabPlan, 'paths'>): number[] {
  return Array.from({ length: paths }, (_, path) => path);
}

/** Throws GODWIT_USAGE when a lab cannot have so many migration links a host. */
export function checkPaths(paths: number, delayMs: number | undefined): number {
  const possible = Number.isInteger(paths) && paths >= 1 && paths <= MAX_PATHS;
  if (possible && (paths === 1 || delayMs === undefined)) return paths;
  throw godwitError(
    'GODWIT_USAGE',
    {
      what: possible ? 'a lab with a delay has one path only' : `a lab cannot have ${paths} paths`,
    },
    { hint: `Choose from 1 to ${MAX_PATHS}; with --delay, 1.` },
  );
}

/** Guest `index` counts from 1. */
export function guestAddress(index: number): string {
  return `10.88.0.${20 + index}`;
}

export function tapName(index: number): string {
  return `tap${index}`;
}

/** A locally administered MAC that depends on the name only, as QEMU's 52:54:00 ones. */
export function macAddress(name: string): string {
  const hash = fnv1a(name);
  const octets = [16, 8, 0].map((shift) => ((hash >>> shift) & 0xff).toString(16).padStart(2, '0'));
  return ['52', '54', '00', ...octets].join(':');
}

/** A UUID that depends on the lab and the name only (version 8: "made by the application"). */
export function guestUuid(lab: string, name: string): string {
  const hex = [0, 1, 2, 3]
    .map((salt) => (fnv1a(`${lab}/${name}/${salt}`) >>> 0).toString(16).padStart(8, '0'))
    .join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}
