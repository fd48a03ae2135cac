import type { CountedBy, CountedCgroup } from '../host/machine/guest-counters.ts';
import type { Life } from '../system/processes/life.ts';
import type { Capabilities } from '../migration/preflight/capabilities.ts';
import type { ImageStamp } from '../migration/standby/image-stamps.ts';
import type { Halt } from '../protocol/guest-halt.ts';
import type { GuestHandle } from '../protocol/mover/handle.ts';
import type { GuestInfo, HypervisorInfo } from '../protocol/public/hosts/host.ts';
import type { CurvePoint } from '../protocol/public/prediction.ts';
import type { GuestProcessor, ProcessorOffer } from '../protocol/public/hosts/processor.ts';

export type { Capabilities, GuestHandle, Life };

/**
 * Reports of every driver, whatever its shape. The core asks for capabilities, never for a driver's name. Every call
 * takes a signal, settles soon after it aborts, and may be repeated (recovery does). Errors are from the table in
 * errors.ts, with the hypervisor's words kept in them.
 */
export interface DriverInventory {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Hypervisor programs on this host. */
  hypervisors(signal: AbortSignal): Promise<HypervisorInfo[]>;
  /**
   * Guests of this host, no matter who started them. A guest whose monitor another program holds has `manager`.
   * Guests in `busy`, which a mover holds now, are listed from their process alone.
   */
  discover(options: DiscoverOptions, signal: AbortSignal): Promise<DiscoveredGuest[]>;
  /**
   * Fingerprint of the running hypervisors, taken without asking them: the same text means that none started or
   * ended.
   */
  census?(signal: AbortSignal): Promise<string>;
  /**
   * `gone` is proof; only with it may the core assume that the guest does not run there. A refused, silent, closed or
   * garbled monitor proves nothing.
   */
  life(handle: GuestHandle): Promise<Life>;
  /** Readable form of a handle, which is opaque to the core. */
  describe(handle: GuestHandle): HandleFacts;
  /** True if two handles, of any age, name one hypervisor. */
  isSame(left: GuestHandle, right: GuestHandle): boolean;
  /** Processor models that this host offers. */
  processors?(signal: AbortSignal): Promise<ProcessorOffer[]>;
  /** Reason why this host accepts no guest at all. */
  whyClosed?(signal: AbortSignal): Promise<string | undefined>;
  /**
   * Fingerprint of everything that a description depends on; cheap enough for every few seconds. Rejects while the
   * guest cannot be described.
   */
  layout?(handle: GuestHandle, signal: AbortSignal): Promise<GuestLayout>;
  /**
   * Guests of this host that may write to each file now, in order of the files, according to the kernel's view of all
   * hypervisors.
   */
  diskWriters?(files: readonly string[], signal: AbortSignal): Promise<(readonly string[])[]>;
  processorOf?(handle: GuestHandle, signal: AbortSignal): Promise<GuestProcessor>;
  /**
   * Samples a few pages from outside to estimate the writes within one window. The hypervisor may be delayed by some
   * ms, and is not paused. Undefined if its pages cannot be read.
   */
  sampleDirty?(handle: GuestHandle, signal: AbortSignal): Promise<CurvePoint | undefined>;
  /** Periodic work for the guests below a directory, called by a long-lived process. */
  tend?(guestsDir: string): Promise<void>;
  /** Revokes the access that `letIn` gave to an ended hypervisor, before its directory is removed. Never rejects. */
  takeBack?(guestDir: string): Promise<void>;
  /** Evidence in a directory that may hold a guest of this driver. */
  guestDirectory?(guestDir: string): Promise<GuestDirectory>;
}

export interface GuestLayout {
  /** Digest of its hypervisor, devices and block graph, 64 hexadecimal digits; differs after each change. */
  readonly digest: string;
  /** Read-only images, by the files that its hypervisor has open; invisible ones are missing. */
  readonly images: readonly ImageStamp[];
}

export interface GuestDirectory {
  /** False proves that its hypervisor does not live. */
  readonly mayLive: boolean;
  /** The guest was built for a migration that is not settled yet. */
  readonly unsettled: boolean;
}

export interface HandleFacts {
  /** Name for people: `process 4711`. */
  readonly what: string;
  /** Directory of its sockets on this host. */
  readonly directory: string;
  /** Process on this host, if any. */
  readonly pid?: number;
  /** Accounts for all its processes, if there are several. */
  readonly cgroup?: CountedCgroup | undefined;
}

export interface DiscoverOptions {
  readonly host: string;
  readonly busy: ReadonlySet<string>;
  /** Guests from the configuration: name and monitor socket. */
  readonly configured: readonly { readonly name: string; readonly qmp: string }[];
  /** Asks this guest only, and lists the others from outside. Absent: all are asked. */
  readonly only?: string;
}

export interface DiscoveredGuest {
  readonly info: GuestInfo;
  /** Reason why it is stopped, if its hypervisor reports it. */
  readonly halted?: Halt;
  /** Absent if Godwit cannot act on it: no monitor was found, or another manager holds it. */
  readonly handle?: GuestHandle;
  /** Advice for the operator. */
  readonly hint?: string;
  /** Process and links that account for all its usage on this host. */
  readonly countedBy?: CountedBy;
}

/** Path in a setting, and the required kind of target. */
export interface NamedPath {
  readonly setting: string;
  readonly at: string | undefined;
  readonly kind: 'file' | 'directory';
}
