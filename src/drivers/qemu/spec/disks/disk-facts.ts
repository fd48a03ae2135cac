export interface BlockFacts {
  readonly disks: readonly LiveDisk[];
  readonly nodes: readonly LiveNode[];
  readonly edges: readonly LiveEdge[];
  readonly jobs: readonly string[];
  readonly groups?: readonly LiveGroup[];
  /** The process uses kernel AIO (`aio=native`). */
  readonly nativeAio?: boolean;
}

/** Throughput limits by QEMU's names (`bps-total`, `iops-read-max-length`), without defaults. */
export type Limits = Readonly<Record<string, number>>;

export interface LiveGroup {
  readonly id: string;
  readonly limits: Limits;
}

export interface LiveDisk {
  readonly drive: string;
  readonly qdev: string | undefined;
  readonly root: string | undefined;
  readonly writeCache: boolean;
  /** Limits of its drive. Limits of a filter below belong to that filter's group. */
  readonly limits?: Limits;
  readonly group?: string;
  readonly unmaps?: number;
  /** Set if it is part of the machine instead of a device on the command line. */
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
  /** In QEMU's form: relative to its working directory, or not a path. */
  readonly file: string;
  readonly readOnly: boolean;
  readonly direct: boolean;
  readonly noFlush: boolean;
  readonly detectZeroes: 'off' | 'on' | 'unmap';
  readonly encrypted: boolean;
  readonly bytes: number;
  readonly allocatedBytes: number | undefined;
  /** It has a backing file; `format` is the format in its header, or undefined. */
  readonly backing: { readonly format: string | undefined } | undefined;
  readonly volatileBitmaps: number;
  /** Discards that reached it; only for a file. */
  readonly discards?: number;
  readonly snapshots?: number;
  readonly qcow2?: Qcow2Facts | undefined;
}

export interface Qcow2Facts {
  readonly clusterBytes: number;
  readonly compat: string;
  readonly refcountBits: number;
  readonly lazyRefcounts: boolean;
  readonly extendedL2: boolean;
  readonly compression: string;
  readonly encryption?: string;
  readonly dataFile: boolean;
  /** Persistent dirty bitmaps. */
  readonly bitmaps: number;
}

export interface LiveEdge {
  readonly parent: string;
  readonly child: string;
  readonly role: string;
}

export const NO_BLOCKS: BlockFacts = { disks: [], nodes: [], edges: [], jobs: [] };
