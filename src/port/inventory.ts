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
 * What every driver reports, whatever its shape. The core asks for capabilities and never for a driver's name.
 * Every call takes a signal and settles soon after it aborts; every call may be repeated (recovery does).
 * Errors are of the table in errors.ts; a hypervisor's own words are kept in them.
 */
export interface DriverInventory {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Hypervisor programs on this host. */
  hypervisors(signal: AbortSignal): Promise<HypervisorInfo[]>;
  /**
   * Guests of this host, whoever started them. A guest whose monitor somebody else holds is listed with `manager`.
   * `busy` names guests that a mover of ours holds now: they are listed from their process alone.
   */
  discover(options: DiscoverOptions, signal: AbortSignal): Promise<DiscoveredGuest[]>;
  /**
   * Names the hypervisors that run on this host now, without asking any of them: the same text as before means that none
   * has begun or ended since. Absent where only asking them shows it.
   */
  census?(signal: AbortSignal): Promise<string>;
  /**
   * Whether the hypervisor that a handle stands for lives. `gone` is proof: only with it may the core act as if the guest
   * did not run there. A monitor that is refused, silent, closed or garbled proves nothing.
   */
  life(handle: GuestHandle): Promise<Life>;
  /** What a handle stands for, in words and places; the core reads nothing in it by itself. */
  describe(handle: GuestHandle): HandleFacts;
  /** Whether two handles, of whatever age, stand for one hypervisor. */
  isSame(left: GuestHandle, right: GuestHandle): boolean;
  /** What this host can give to guests; absent where a driver cannot say. */
  processors?(signal: AbortSignal): Promise<ProcessorOffer[]>;
  /** Why no guest may come to this host, whichever it is; undefined where one may. Absent where a driver knows no reason. */
  whyClosed?(signal: AbortSignal): Promise<string | undefined>;
  /**
   * What a description of the guest rests on; cheap enough for every few seconds. Rejects while the guest is not in a state to
   * be described. Absent where the driver cannot.
   */
  layout?(handle: GuestHandle, signal: AbortSignal): Promise<GuestLayout>;
  /**
   * Which guests of this host may write to each of these files now, in their order, by what the kernel knows of all its
   * hypervisors. Absent where the driver cannot.
   */
  diskWriters?(files: readonly string[], signal: AbortSignal): Promise<(readonly string[])[]>;
  /** What a guest has of it. */
  processorOf?(handle: GuestHandle, signal: AbortSignal): Promise<GuestProcessor>;
  /**
   * Looks from outside at how much of its memory a running guest writes within one window, by a small sample of its pages.
   * Its hypervisor is held for some ms at most, and is not stopped. Undefined where its pages cannot be read. Absent where
   * the driver has no such look.
   */
  sampleDirty?(handle: GuestHandle, signal: AbortSignal): Promise<CurvePoint | undefined>;
  /** What the guests below a directory need now and then from whoever is there all the time. */
  tend?(guestsDir: string): Promise<void>;
  /**
   * Takes back what the hypervisor of a guest's directory was let into. It has ended, and the directory goes next. Never
   * rejects; absent where nothing was given.
   */
  takeBack?(guestDir: string): Promise<void>;
  /**
   * What is known of a directory in which a guest of this driver may be, by what lies there. Absent where the driver
   * keeps nothing in it.
   */
  guestDirectory?(guestDir: string): Promise<GuestDirectory>;
}

export interface GuestLayout {
  /** Of its hypervisor, devices and block graph, 64 hexadecimal digits: another one after each change. */
  readonly digest: string;
  /** Of images that the guest only reads, by the files that its hypervisor has open; those that cannot be seen are missing. */
  readonly images: readonly ImageStamp[];
}

export interface GuestDirectory {
  /** False by proof: no hypervisor of it lives. */
  readonly mayLive: boolean;
  /** Its guest was built for a migration that has not been settled. */
  readonly unsettled: boolean;
}

export interface HandleFacts {
  /** For people: `process 4711`. */
  readonly what: string;
  /** Where it keeps its sockets, on this host. */
  readonly directory: string;
  /** Its process on this host, where it has one. */
  readonly pid?: number;
  /** By which it is counted where it is more than that process. */
  readonly cgroup?: CountedCgroup | undefined;
}

export interface DiscoverOptions {
  readonly host: string;
  readonly busy: ReadonlySet<string>;
  /** Guests known by configuration: name and monitor socket. */
  readonly configured: readonly { readonly name: string; readonly qmp: string }[];
  /** Only this one is asked; the others are listed by what is known without that. Absent: all are asked. */
  readonly only?: string;
}

export interface DiscoveredGuest {
  readonly info: GuestInfo;
  /** Why it is stopped, as far as its hypervisor reports it. */
  readonly halted?: Halt;
  /** Absent where nothing can be done with it (no monitor found, or another manager's). */
  readonly handle?: GuestHandle;
  /** What a person can do about that. */
  readonly hint?: string;
  /** The process and the links by which this host counts all that it uses; absent where there are no such. */
  readonly countedBy?: CountedBy;
}

/** A path that a setting names, and what it has to lead to. */
export interface NamedPath {
  readonly setting: string;
  readonly at: string | undefined;
  readonly kind: 'file' | 'directory';
}
