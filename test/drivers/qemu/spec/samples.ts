import type { BlockNode } from '../../../../src/drivers/qemu/spec/disks/disk-schema.ts';
import type { LiveNode, Qcow2Facts } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import type { GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';

/** What QEMU reports and what a description says, with nothing out of the ordinary in it. */

/** An image that lies in its file and holds nothing, as QEMU reports it. */
export const liveNode = (
  name: string,
  driver: string,
  change: Partial<LiveNode> = {},
): LiveNode => ({
  name,
  driver,
  file: '/srv/a.img',
  readOnly: false,
  direct: true,
  noFlush: false,
  detectZeroes: 'off',
  encrypted: false,
  bytes: 64 * 1024 ** 2,
  allocatedBytes: undefined,
  backing: undefined,
  volatileBitmaps: 0,
  ...change,
});

export const QCOW2: Qcow2Facts = {
  clusterBytes: 65_536,
  compat: '1.1',
  refcountBits: 16,
  lazyRefcounts: false,
  extendedL2: false,
  compression: 'zlib',
  dataFile: false,
  bitmaps: 0,
};

/** What a copy of it is made with. */
export const MAKE = {
  clusterBytes: 65_536,
  version: 'v3',
  refcountBits: 16,
  lazyRefcounts: false,
  extendedL2: false,
  compression: 'zlib',
} as const;

/** A raw image of a description. */
export const blockNode = (node: string, change: Partial<BlockNode> = {}): BlockNode => ({
  node,
  format: 'raw',
  file: `${node}-file`,
  readOnly: false,
  direct: true,
  discard: 'ignore',
  fileDiscard: 'ignore',
  detectZeroes: 'off',
  aio: 'threads',
  locking: 'auto',
  tuning: {},
  ...change,
});

/** A machine without a device. */
export const emptySpec = (change: Partial<GuestSpec> = {}): GuestSpec => ({
  format: 1,
  arch: 'x86_64',
  machine: { type: 'pc-q35-7.2', props: {} },
  accelerator: { name: 'tcg', props: {} },
  memory: { bytes: 512 * 1024 ** 2 },
  smp: { cpus: 1 },
  options: [],
  images: {},
  fwCfg: [],
  objects: [],
  chardevs: [],
  ports: [],
  monitors: [],
  netdevs: [],
  devices: [],
  ramBlocks: [],
  ...change,
});
