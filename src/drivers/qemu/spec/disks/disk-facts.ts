/** What was read of a running guest's disks; plain data, the input of describeDisks(). */
export interface BlockFacts {
  readonly disks: readonly LiveDisk[];
  readonly nodes: readonly LiveNode[];
  readonly edges: readonly LiveEdge[];
  /** Jobs at work on them. */
  readonly jobs: readonly string[];
  /** Objects that limit disks. */
  readonly groups?: readonly LiveGroup[];
  /** The process has asked the kernel for asynchronous reads of its own kind (`aio=native`). */
  readonly nativeAio?: boolean;
}

/** Limits of throughput by QEMU's names (`bps-total`, `iops-read-max-length`), those alone that are not the default. */
export type Limits = Readonly<Record<string, number>>;

export interface LiveGroup {
  readonly id: string;
  readonly limits: Limits;
}

/** A device that reads or writes an image, or a drive that could. */
export interface LiveDisk {
  /** Id of its drive; empty for a device on a block node. */
  readonly drive: string;
  /** QOM path, or id, of its device. */
  readonly qdev: string | undefined;
  /** The node that it is on; undefined for a drive without a medium. */
  readonly root: string | undefined;
  /** The guest's writes wait for no flush of its own. */
  readonly writeCache: boolean;
  /** Of its drive; those of a filter below it are that one's group's. */
  readonly limits?: Limits;
  /** What shares these limits. */
  readonly group?: string;
  /** Discards of the guest's so far. */
  readonly unmaps?: number;
  /** Where it is part of the machine and not of the command line's devices. */
  readonly builtIn: BuiltInDrive | undefined;
}

export interface BuiltInDrive {
  readonly type: string;
  readonly bus: string | undefined;
  readonly unit: number | undefined;
}

export interface LiveNode {
  readonly name: string;
  readonly driver: string;
  /** As QEMU writes it: relative to its working directory, or no path at all. */
  readonly file: string;
  readonly readOnly: boolean;
  readonly direct: boolean;
  readonly noFlush: boolean;
  readonly detectZeroes: 'off' | 'on' | 'unmap';
  readonly encrypted: boolean;
  readonly bytes: number;
  readonly allocatedBytes: number | undefined;
  /** It has a backing file, and its header says of which format (undefined: it does not say). */
  readonly backing: { readonly format: string | undefined } | undefined;
  /** Dirty bitmaps that lie in memory alone. */
  readonly volatileBitmaps: number;
  /** Discards that have reached it; of a file alone. */
  readonly discards?: number;
  /** Snapshots within the image. */
  readonly snapshots?: number;
  /** Of a qcow2 image. */
  readonly qcow2?: Qcow2Facts | undefined;
}

/** What a qcow2 image was made with, as QEMU reports it. */
export interface Qcow2Facts {
  readonly clusterBytes: number;
  /** `0.10` or `1.1`. */
  readonly compat: string;
  readonly refcountBits: number;
  readonly lazyRefcounts: boolean;
  readonly extendedL2: boolean;
  readonly compression: string;
  /** How its content is encrypted; absent: it is not. */
  readonly encryption?: string;
  /** Its data lies in a file of its own. */
  readonly dataFile: boolean;
  /** Dirty bitmaps that are kept in the image. */
  readonly bitmaps: number;
}

export interface LiveEdge {
  readonly parent: string;
  readonly child: string;
  /** `file`, `backing`, ... */
  readonly role: string;
}

export const NO_BLOCKS: BlockFacts = { disks: [], nodes: [], edges: [], jobs: [] };
