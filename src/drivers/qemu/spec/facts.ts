import type { HostDevice } from '../passthrough/device.ts';
import type { BlockFacts } from './disks/disk-facts.ts';
import type { BackendLine, RamBlock } from './monitor-text.ts';
import type { Scalar } from './options.ts';
import type { ForwardSpec } from './schema.ts';
import type { TpmFacts } from './tpm.ts';

export interface GuestFacts {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly version: string;
  readonly status: string;
  readonly arch: string;
  readonly machineType: string;
  readonly accelerator: 'kvm' | 'tcg';
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly baseMemoryBytes: number;
  readonly uuid: string | undefined;
  readonly name: string | undefined;
  readonly block: BlockFacts;
  readonly chardevs: readonly { readonly id: string; readonly filename: string }[];
  readonly migrationStatus: string;
  readonly blockedReasons: readonly string[];
  readonly devices: readonly LiveDevice[];
  readonly objects: readonly LiveObject[];
  readonly network: readonly BackendLine[];
  readonly forwards?: ReadonlyMap<string, readonly ForwardSpec[]>;
  readonly bridges: Readonly<Record<string, string>>;
  /** Taps without a bridge, with a host route or in Open vSwitch. */
  readonly otherwise?: readonly string[];
  readonly configFiles?: readonly ConfigFile[];
  readonly tpm?: TpmFacts;
  readonly ramBlocks: readonly RamBlock[];
  readonly cpu: CpuFacts;
  readonly tscHz?: number;
  /** Host processors and NUMA nodes that QEMU is pinned to; absent if it is not. */
  readonly pins?: { readonly processors?: string; readonly nodes?: string };
}

export interface ConfigFile {
  readonly file: string;
  readonly sections?: readonly { readonly type: string; readonly id?: string }[];
  readonly problem?: string;
}

export interface LiveDevice {
  readonly path: string;
  readonly id: string | undefined;
  readonly type: string;
  readonly bus: string | undefined;
  /** QOM path of that bus, which starts with the path of the bus's device. */
  readonly busPath?: string;
  readonly addr: string | undefined;
  readonly mac: string | undefined;
  readonly netdev: string | undefined;
  /** Generated identity that the guest sees: a SCSI disk's name, a generation id. */
  readonly identity?: Readonly<Record<string, Scalar>>;
  /** Properties that differ from the type's defaults; only for a device without a `-device` option. */
  readonly changed: Readonly<Record<string, Scalar>> | undefined;
  readonly host?: HostDevice;
  /** Passed-through device's setting in QEMU: on, off or auto. */
  readonly enableMigration?: string;
}

export interface LiveObject {
  readonly id: string;
  readonly type: string;
  readonly bytes: number | undefined;
  readonly shared: boolean;
  readonly memory?: HostMemory;
}

export interface HostMemory {
  readonly pageBytes?: number;
  /** NUMA policy and nodes; absent if it is not bound. */
  readonly policy?: string;
  readonly nodes?: readonly number[];
  readonly file?: HostFile;
}

export interface HostFile {
  readonly path: string;
  /** Other programs can open it; QEMU unlinks a file that it creates in a directory. */
  readonly isNamed: boolean;
  /** The contents must last: persistent memory, or a read-only file. */
  readonly lasts: boolean;
}

export interface CpuWord {
  readonly eax: number;
  readonly ecx: number;
  readonly register: string;
  readonly bits: number;
}

export interface CpuFacts {
  readonly model: string;
  readonly identity: Readonly<Record<string, string | number>>;
  readonly features: readonly string[];
  /** CPUID words that the guest sees, as the final proof that both ends are equal. */
  readonly words: readonly CpuWord[];
}
