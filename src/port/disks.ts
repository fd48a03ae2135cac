import type { FileIdentity } from '../migration/image-identity.ts';
import type { RequestCounts } from '../migration/report/latencies.ts';
import type { GuestDescription } from '../protocol/peer/migration.ts';

/**
 * Copying a guest's disks while it runs: what a driver does of it. The bytes go from the source's hypervisor into a unix
 * socket of its host and come out of one at the destination; what lies between is the movers' business.
 */

/** How far the copy of one disk is. */
export interface DiskSample {
  /** The block node that the guest writes to; the same name at both ends. */
  readonly node: string;
  /**
   * copying: the first pass; ready: as good as the source's but for what was written last; broken: it is stalled, and
   * `start` resumes it; whole: ended, and the same as the source's; failed: it is over and not whole.
   */
  readonly state: 'copying' | 'ready' | 'broken' | 'whole' | 'failed';
  /** Bytes copied, and bytes to copy in all; the latter grows with what the guest writes. */
  readonly copiedBytes: number;
  readonly totalBytes: number;
  /** What stopped it: `full` where the destination has no room. */
  readonly failure?: { readonly kind: 'full' | 'source' | 'target'; readonly reason: string };
}

/** What a file of this host holds; remembered for as long as it is not written to. */
export interface Identifier {
  identify(
    file: string,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: number; readonly sha256: string }>;
}

/** Counts how long the guest's own requests take. Every call may be repeated, also by a mover that takes over. */
export interface RequestCounter {
  /** Counts from zero from here on; what somebody else has counted already goes on. */
  begin(nodes: readonly string[], signal: AbortSignal): Promise<void>;
  /** What was counted since. A disk is absent where nobody knows. */
  read(nodes: readonly string[], signal: AbortSignal): Promise<RequestCounts[]>;
  /** Nothing is counted that was not before. */
  end(signal: AbortSignal): Promise<void>;
}

/** At the source. Every call may be repeated, also by a mover that takes over. */
export interface DiskSource {
  readonly images: Identifier;
  /** Absent where the hypervisor does not count. */
  readonly requests?: RequestCounter;
  /**
   * Begins to copy each node to the export of the same name behind the unix `socket`, or resumes a copy that stands
   * still. The guest runs on. GODWIT_DISK_FAILED where one has ended, or nobody answers behind the socket.
   */
  start(nodes: readonly string[], socket: string, signal: AbortSignal): Promise<void>;
  sample(nodes: readonly string[], signal: AbortSignal): Promise<DiskSample[]>;
  /** Caps what each copy reads and sends, bytes/s; undefined: no cap. */
  limit(
    nodes: readonly string[],
    bytesPerS: number | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** From here on what the guest writes goes to both at once, so that nothing is behind; false where the hypervisor cannot. */
  setWriteBlocking(nodes: readonly string[], signal: AbortSignal): Promise<boolean>;
  /**
   * The guest is paused: waits until each copy is whole and kept, and ends all. GODWIT_DISK_FAILED where one is not;
   * then nothing is ended for good, and `drop` is to follow. Made whole by an earlier call: nothing. Should the guest run
   * on here after all, `drop` takes away what is left.
   */
  finish(nodes: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * Ends the copying wherever it stands; the guest and its disks are as if it had never begun. Who joined the socket
   * closes what it joined before: a hypervisor that waits to send hears of nothing else.
   */
  drop(signal: AbortSignal): Promise<void>;
}

/** An image to be made at the destination. */
export interface NewImage {
  readonly node: string;
  /** Where to make it; nothing is there yet, or a file of no length. */
  readonly file: string;
  /** Where its backing file will be at the destination; absent without. */
  readonly backingFile?: string;
}

/** At the destination. */
export interface DiskTarget {
  readonly images: Identifier;
  /** Makes empty images with the size and the features that the description names. */
  create(
    description: GuestDescription,
    images: readonly NewImage[],
    signal: AbortSignal,
  ): Promise<void>;
  /** Once the hypervisor has started: offers these nodes for writing on the unix `socket`, each under its name. Repeatable. */
  serve(nodes: readonly string[], socket: string, signal: AbortSignal): Promise<void>;
  /** Absent where the hypervisor does not know what a guest writes. */
  readonly watch?: DiskWatch;
  /** Nothing is written from outside any more: what `serve` made is gone when this resolves. Repeatable. */
  end(signal: AbortSignal): Promise<void>;
  /** What the guest that runs here writes to; undefined where its hypervisor has ended. Absent where the driver cannot say. */
  written?(signal: AbortSignal): Promise<WrittenFiles | undefined>;
}

/** What a hypervisor has open to write the guest's disks. */
export interface WrittenFiles {
  /** Files and devices of this host. */
  readonly files: readonly string[];
  /** How many more it reaches over a network by itself. */
  readonly remote: number;
}

/** A disk that a running guest writes to, as it lies on its host. */
export interface GuestDisk {
  /** As people know it: the id of its device or drive. */
  readonly name: string;
  readonly file: string;
  /** Which file it is; absent if the file at its path is not the file that the hypervisor has open, or that is not known. */
  readonly identity?: FileIdentity;
  readonly bytes: number;
  /** What it takes on its storage; undefined where that is unknown. */
  readonly allocatedBytes: number | undefined;
  /** Why a copy of it would not be the same, or cannot be used in its place. */
  readonly fixed: string | undefined;
  /** What moves it, plain data; undefined where it is fixed. */
  readonly work: unknown;
}

/** Where the move of a disk stands in the hypervisor; the words of `MoveSight`. */
export interface RelocationSight {
  readonly on: 'old' | 'new' | 'neither';
  readonly job: 'none' | 'copying' | 'ready' | 'ending' | 'pending' | 'ended' | 'failed';
  /** The hypervisor has the new image open. */
  readonly open: boolean;
  readonly copiedBytes: number;
  readonly totalBytes: number;
  /** Why the job has failed: `full` where there is no room. */
  readonly failure?: { readonly kind: 'full' | 'other'; readonly reason: string };
}

/**
 * Moves a disk of a running guest to another place of its host. `work` is what `disks` gave of it, also to an earlier
 * process. Every call may be repeated, and holds nothing up but what it says.
 */
export interface DiskRelocator {
  disks(signal: AbortSignal): Promise<GuestDisk[]>;
  /** `file` is empty: makes an image in it that is like the guest's, opens it, and copies; the guest runs on. */
  begin(
    work: unknown,
    file: string,
    bytesPerS: number | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  look(work: unknown, signal: AbortSignal): Promise<RelocationSight>;
  /** Jobs on the guest's disks that are not over, of any program. */
  countJobs(signal: AbortSignal): Promise<number>;
  /** What the guest writes goes to both images from here on; nothing where the hypervisor cannot. */
  setWriteBlocking(work: unknown, signal: AbortSignal): Promise<void>;
  /** Leads a copy that is ready to `pending`, and the guest's writes to it wait from there. */
  complete(work: unknown, signal: AbortSignal): Promise<void>;
  /** Pending: the guest goes over to the new image. */
  finalize(work: unknown, signal: AbortSignal): Promise<void>;
  /** The guest is on the new image, `file`: closes the old one. Resolves to what was not to be done, in words. */
  settle(work: unknown, file: string, signal: AbortSignal): Promise<string[]>;
  /** Not finalized: ends the copying and closes the new image; the guest is on the old one as if nothing had been. */
  drop(work: unknown, signal: AbortSignal): Promise<void>;
}

/** At the destination: what the guest writes from the switch on, so that its images can be compared as they were then. */
export interface DiskWatch {
  /** Before the guest runs. Never rejects: where it cannot be, `account` does. */
  begin(nodes: readonly string[], signal: AbortSignal): Promise<void>;
  /** Offers these nodes for reading on the unix `socket`, each under its name, also while the guest runs. Repeatable. */
  view(nodes: readonly string[], socket: string, signal: AbortSignal): Promise<void>;
  /** What was written since `begin`, all that has begun until now included: an export, and the bitmap that it comes with. */
  account(
    node: string,
    signal: AbortSignal,
  ): Promise<{ readonly export: string; readonly bitmap: string }>;
  /** What the others made is gone when this resolves. Repeatable. */
  end(signal: AbortSignal): Promise<void>;
}

/** An image that no program writes to. */
export interface FrozenImage {
  readonly node: string;
  readonly file: string;
  /** Which file it is: another file at that path is not read. Absent if the migration was begun by an earlier build. */
  readonly identity?: FileIdentity;
  readonly format: 'raw' | 'qcow2';
  /** Its backing files, the nearest first. */
  readonly below: readonly Pick<FrozenImage, 'file' | 'format' | 'identity'>[];
}
