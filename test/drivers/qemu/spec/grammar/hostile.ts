import fc from 'fast-check';
import { MARK } from './witness.ts';

/** Descriptions of somebody who wants a word of QEMU's command line, made from ones that are taken. */

type Json = unknown;

/** What an attacker would try anywhere. */
const STRINGS = [
  '/etc/',
  '../../etc/',
  '/dev/sda',
  'fd:3',
  'unix:/run/',
  'tcp:10.0.0.1:22',
  'exec:sh -c ',

  'x,file=/etc/',
  'x,,file=/etc/',
  'on,path=/etc/',
  'a=',
  '-drive',
  '--',
  '-',
  ',',
  '=',
  ',x=',
  'x\n',
  'x\0',
  '{"driver":"',
  'type=11,path=/etc/',
  'type=1,serial=x,file=/etc/',
  'e1000.romfile=/etc/',
  'driver=e1000,property=mac,value=x,property=romfile,value=/etc/',
  'driver=e1000,property=romfile,value=/etc/',
  'none,id=a,path=/etc/',
  'if=none,file=/etc/',
  'if=none,id=x,file.filename=/etc/',
  'x.y.z=',
  '%s%n',
  '$(id)',
].map((each) => `${each}${MARK}`);
/** What Godwit, or QEMU for Godwit, has already. */
const OWN = [
  'godwit-oob',
  'godwit-tls',
  'compat_monitor0',
  'godwit-export-0',
  'qmp.sock',
  'qemu.pid',
  'oob.in',
  'wire.sock',
  'disks.sock',
  'guest.json',
  'incoming',
  '.hidden',
  'qemu.log',

  '',
  'help',
  '?',
  '/dev/random',
  'no',
  'yes',
  'none',
  'stdio',
  'host',
  'char-0',
  'n0',
  'mem.0',
];
const KEYS = [
  'file',
  'filename',
  'path',
  'romfile',
  'host',
  'script',
  'fd',
  'fds',
  'vhostfd',
  'evdev',
  'frudatafile',
  'sdrfile',
  'pcap',
  'mem-path',
  'driver',
  'id',
  'qom-type',
  'chardev',
  'drive',
  'netdev',
  'sysfsdev',
  'ibdev',
  'host_ip',
  'cdat',
  'bus',
  'name',
  'logfile',
  'ebpf-rss-fds',
  'firmware',
  'kernel',
  'x-speed',
  `a=${MARK}`,
  `x,y${MARK}`,
  `__proto__`,
  'constructor',
];
const TYPES = [
  'vfio-pci',
  'usb-host',
  'usb-redir',
  'virtio-9p-pci',
  'vhost-user-blk-pci',
  'ipmi-bmc-sim',
  'ivshmem-plain',
  'loader',
  'tpm-tis',
  'hv-syndbg',
  'pvrdma',
  'virtio-input-host-pci',
  'x-pci-proxy-dev',
  'memory-backend-file',
  'secret',
  'input-linux',
  'e1000',
  'max-x86_64-cpu',
];

const evil: fc.Arbitrary<Json> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...STRINGS) },
  { weight: 2, arbitrary: fc.constantFrom(...OWN) },
  { weight: 1, arbitrary: fc.constantFrom(...TYPES) },
  { weight: 1, arbitrary: fc.constantFrom(true, false, -1, 0, 2 ** 53, 1e300, null, [], {}) },
);

interface Mutation {
  /** Where: the n-th place of the tree. */
  readonly place: number;
  readonly way: 'replace' | 'add' | 'rename' | 'double' | 'swap';
  readonly key: string;
  readonly value: Json;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  place: fc.nat({ max: 100_000 }),
  way: fc.constantFrom('replace', 'replace', 'add', 'rename', 'double', 'swap'),
  key: fc.constantFrom(...KEYS),
  value: evil,
});

/** Between one and three changes. */
export const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });

/** The same with the changes made in it; what was given stays as it is. */
export function mutate(given: Json, changes: readonly Mutation[]): Json {
  const tree = structuredClone(given);
  for (const change of changes) apply(tree, change);
  return tree;
}

interface TreeNode {
  readonly parent: Record<string, Json>;
  readonly key: string;
}

function apply(tree: Json, { place, way, key, value }: Mutation): void {
  const places = placesOf(tree);
  const at = places[place % places.length];
  if (at === undefined) return;
  const { parent } = at;
  const held = parent[at.key];
  switch (way) {
    case 'replace':
      define(parent, at.key, value);
      return;
    case 'add':
      if (Array.isArray(held)) held.push(value);
      else if (isTree(held)) define(held, key, value);
      else if (!Array.isArray(parent)) define(parent, key, value);
      return;
    case 'rename':
      if (Array.isArray(parent)) return;
      delete parent[at.key];
      define(parent, key, held);
      return;
    case 'double':
      if (Array.isArray(parent)) parent.push(structuredClone(held));
      return;
    case 'swap': {
      const other = places[(place * 7 + 3) % places.length];
      if (other !== undefined) define(parent, at.key, structuredClone(other.parent[other.key]));
    }
  }
}

function define(parent: Record<string, Json>, key: string, value: Json): void {
  Object.defineProperty(parent, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function placesOf(tree: Json): TreeNode[] {
  if (!isTree(tree)) return [];
  return Object.keys(tree).flatMap((key) => [{ parent: tree, key }, ...placesOf(tree[key])]);
}

function isTree(value: Json): value is Record<string, Json> {
  return typeof value === 'object' && value !== null;
}
