import type { HostDevice } from '../passthrough/device.ts';
import type { BlockFacts } from './disks/disk-facts.ts';
import type { BackendLine, RamBlock } from './monitor-text.ts';
import type { Scalar } from './options.ts';
import type { ForwardSpec } from './schema.ts';
import type { TpmFacts } from './tpm.ts';

/** What was read of a running guest; plain data, the input of describe(). */
export interface GuestFacts {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** QEMU's version, 7.2.22. */
  readonly version: string;
  /** QEMU's run state: running, paused... */
  readonly status: string;
  readonly arch: string;
  /** Versioned: pc-q35-7.2. */
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
  /** Ports of the host that lead into QEMU’s own networks, by the network’s id. */
  readonly forwards?: ReadonlyMap<string, readonly ForwardSpec[]>;
  /** Bridge of each tap. */
  readonly bridges: Readonly<Record<string, string>>;
  /** Taps in no bridge that the host routes to, or that Open vSwitch has. */
  readonly otherwise?: readonly string[];
  /** Files of -readconfig. */
  readonly configFiles?: readonly ConfigFile[];
  /** Of a TPM that is served beside QEMU; absent without. */
  readonly tpm?: TpmFacts;
  readonly ramBlocks: readonly RamBlock[];
  readonly cpu: CpuFacts;
  /** Of the time-stamp counter of its first processor, Hz; absent where QEMU does not say. */
  readonly tscHz?: number;
  /** Processors and NUMA nodes of its host that QEMU is kept to; absent where it is kept to none. */
  readonly pins?: { readonly processors?: string; readonly nodes?: string };
}

export interface ConfigFile {
  readonly file: string;
  /** Undefined where it is not read. */
  readonly sections?: readonly { readonly type: string; readonly id?: string }[];
  /** Why it is not read, in words. */
  readonly problem?: string;
}

/** A device of `-device` or `device_add`, as it is now. */
export interface LiveDevice {
  readonly path: string;
  /** Undefined for one without an id. */
  readonly id: string | undefined;
  readonly type: string;
  readonly bus: string | undefined;
  /** QOM path of that bus, which begins with the path of the device whose bus it is. */
  readonly busPath?: string;
  /** PCI slot and function, 03.0. */
  readonly addr: string | undefined;
  readonly mac: string | undefined;
  readonly netdev: string | undefined;
  /** What the guest knows it by and QEMU makes up where nobody says it: a SCSI disk's name, a generation's id. */
  readonly identity?: Readonly<Record<string, Scalar>>;
  /** Properties other than the type's defaults; only for one that no `-device` of the command line names. */
  readonly changed: Readonly<Record<string, Scalar>> | undefined;
  /** Of one that is passed through: the device of its host. */
  readonly host?: HostDevice;
  /** Of the same: on, off or auto, as QEMU has it. */
  readonly enableMigration?: string;
}

export interface LiveObject {
  readonly id: string;
  readonly type: string;
  /** Size of a memory backend. */
  readonly bytes: number | undefined;
  readonly shared: boolean;
  /** Of a memory backend: how its host keeps it. */
  readonly memory?: HostMemory;
}

export interface HostMemory {
  /** Of its pages at the host. */
  readonly pageBytes?: number;
  /** To which NUMA nodes it is bound, and how; absent: to none. */
  readonly policy?: string;
  readonly nodes?: readonly number[];
  /** Its file, where it is one. */
  readonly file?: HostFile;
}

export interface HostFile {
  readonly path: string;
  /** Other programs can open it: QEMU removes the name of one that it makes in a directory. */
  readonly isNamed: boolean;
  /** What is written there is to last: persistent memory, or a file that is only read. */
  readonly lasts: boolean;
}

export interface CpuWord {
  readonly eax: number;
  readonly ecx: number;
  readonly register: string;
  readonly bits: number;
}

export interface CpuFacts {
  /** `max`, `host`, `Skylake-Server-v4`... */
  readonly model: string;
  readonly identity: Readonly<Record<string, string | number>>;
  /** Features that are on. */
  readonly features: readonly string[];
  /** CPUID words as the guest sees them: the last proof that both ends are equal. */
  readonly words: readonly CpuWord[];
}
