import type { FileIdentity } from '../migration/image-identity.ts';
import type { RequestCounts } from '../migration/report/latencies.ts';
import type { GuestDescription } from '../protocol/peer/migration.ts';

/**
 * Copying a guest's disks while it runs. The source's hypervisor writes the bytes into a unix socket of its host, and
 * the destination's reads them from another. The movers connect the two sockets.
 */

export interface DiskSample {
  /** Block node that the guest writes to; the same name at both ends. */
  readonly node: string;
  /**
   * copying: first pass; ready: only the newest writes are missing; broken: stalled, `start` resumes it; whole: ended
   * and identical; failed: ended and incomplete.
   */
  readonly state: 'copying' | 'ready' | 'broken' | 'whole' | 'failed';
  /** Bytes copied so far, and bytes in total; the total grows as the guest writes. */
  readonly copiedBytes: number;
  readonly totalBytes: number;
  /** Cause of the stop; `full`: no room at the destination. */
  readonly failure?: { readonly kind: 'full' | 'source' | 'target'; readonly reason: string };
}

/** Identifies the content of a file; cached until the file is written to. */
export interface Identifier {
  identify(
    file: string,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: number; readonly sha256: string }>;
}

/** Counts the time that the guest's requests take. Every call may be repeated, even by a mover that takes over. */
export interface RequestCounter {
  /** Starts counting from zero. Counters that another program started continue. */
  begin(nodes: readonly string[], signal: AbortSignal): Promise<void>;
  /** Counts since `begin`, without disks that cannot be counted. */
  read(nodes: readonly string[], signal: AbortSignal): Promise<RequestCounts[]>;
  /** Stops the counters that `begin` started. */
  end(signal: AbortSignal): Promise<void>;
}

/** Source side. Every call may be repeated, even by a mover that takes over. */
export interface DiskSource {
  readonly images: Identifier;
  readonly requests?: RequestCounter;
  /**
   * Starts to copy each node to the export of the same name behind the unix `socket`, or resumes a stalled copy.
   * GODWIT_DISK_FAILED if a copy has ended, or the socket does not answer.
   */
  start(nodes: readonly string[], socket: string, signal: AbortSignal): Promise<void>;
  sample(nodes: readonly string[], signal: AbortSignal): Promise<DiskSample[]>;
  /** Caps each copy's reads and sends, bytes/s; undefined: no cap. */
  limit(
    nodes: readonly string[],
    bytesPerS: number | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** Makes every guest write go to both sides at once, so that the copy cannot fall behind; false if unsupported. */
  setWriteBlocking(nodes: readonly string[], signal: AbortSignal): Promise<boolean>;
  /**
   * Guest paused: waits until each copy is whole and synced, then ends them. Idempotent. GODWIT_DISK_FAILED if one is
   * not whole; none is then ended for good, and `drop` must follow. If the guest runs here after all, `drop` cleans
   * up.
   */
  finish(nodes: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * Ends the copies at any stage and leaves the guest and its disks unchanged. The caller first closes what is
   * connected to the socket, since a hypervisor blocked in a send reacts to nothing else.
   */
  drop(signal: AbortSignal): Promise<void>;
}

/** Image to create at the destination. */
export interface NewImage {
  readonly node: string;
  /** Path that is free, or holds an empty file. */
  readonly file: string;
  /** Path of its backing file at the destination. */
  readonly backingFile?: string;
}

/** Destination side. */
export interface DiskTarget {
  readonly images: Identifier;
  /** Creates empty images with the size and features in the description. */
  create(
    description: GuestDescription,
    images: readonly NewImage[],
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * After the hypervisor has started: exports these nodes for writing on the unix `socket`, each under its name.
   * Repeatable.
   */
  serve(nodes: readonly string[], socket: string, signal: AbortSignal): Promise<void>;
  readonly watch?: DiskWatch;
  /** Ends the exports of `serve`. Repeatable. */
  end(signal: AbortSignal): Promise<void>;
  /** Files that the running guest writes to; undefined if its hypervisor has ended. */
  written?(signal: AbortSignal): Promise<WrittenFiles | undefined>;
}

export interface WrittenFiles {
  /** Files and devices of this host. */
  readonly files: readonly string[];
  /** Number of images that it reaches over a network by itself. */
  readonly remote: number;
}

/** Disk that a running guest writes to. */
export interface GuestDisk {
  /** Id of its device or drive. */
  readonly name: string;
  readonly file: string;
  /** Absent if the file at the path is not the file that the hypervisor has open, or if that is unknown. */
  readonly identity?: FileIdentity;
  readonly bytes: number;
  /** Space used on its storage; undefined if unknown. */
  readonly allocatedBytes: number | undefined;
  /** Reason why a copy would differ or could not replace it. */
  readonly fixed: string | undefined;
  /** Driver's plain data for the move; undefined if the disk is fixed. */
  readonly work: unknown;
}

/** Progress of a disk's move in the hypervisor, in the words of `MoveSight`. */
export interface RelocationSight {
  readonly on: 'old' | 'new' | 'neither';
  readonly job: 'none' | 'copying' | 'ready' | 'ending' | 'pending' | 'ended' | 'failed';
  /** True if the hypervisor has the new image open. */
  readonly open: boolean;
  readonly copiedBytes: number;
  readonly totalBytes: number;
  /** Cause of the failed job; `full`: no room. */
  readonly failure?: { readonly kind: 'full' | 'other'; readonly reason: string };
}

/**
 * Moves a disk of a running guest to another place on its host. `work` comes from `disks`, possibly of an earlier
 * process. Every call may be repeated and returns without waiting for the copy.
 */
export interface DiskRelocator {
  disks(signal: AbortSignal): Promise<GuestDisk[]>;
  /** Creates an image like the guest's in the empty `file`, opens it, and starts to copy. The guest keeps running. */
  begin(
    work: unknown,
    file: string,
    bytesPerS: number | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  look(work: unknown, signal: AbortSignal): Promise<RelocationSight>;
  /** Unfinished jobs of any program on the guest's disks. */
  countJobs(signal: AbortSignal): Promise<number>;
  /** Makes every guest write go to both images; does nothing if unsupported. */
  setWriteBlocking(work: unknown, signal: AbortSignal): Promise<void>;
  /** Takes a ready copy to `pending`; from there on, guest writes wait. */
  complete(work: unknown, signal: AbortSignal): Promise<void>;
  /** Switches the guest to the new image, from `pending`. */
  finalize(work: unknown, signal: AbortSignal): Promise<void>;
  /** After the switch to `file`: closes the old image. Resolves to descriptions of steps that failed. */
  settle(work: unknown, file: string, signal: AbortSignal): Promise<string[]>;
  /** Before `finalize`: ends the copy and closes the new image. The guest keeps its old image unchanged. */
  drop(work: unknown, signal: AbortSignal): Promise<void>;
}

/** Destination: tracks guest writes after the switchover, so that its images can be compared as of that moment. */
export interface DiskWatch {
  /** Call before the guest runs. Never rejects; `account` rejects instead. */
  begin(nodes: readonly string[], signal: AbortSignal): Promise<void>;
  /** Exports these nodes read-only on the unix `socket`, each under its name, even while the guest runs. Repeatable. */
  view(nodes: readonly string[], socket: string, signal: AbortSignal): Promise<void>;
  /** Writes since `begin`, including those in flight: an export and the bitmap that it comes with. */
  account(
    node: string,
    signal: AbortSignal,
  ): Promise<{ readonly export: string; readonly bitmap: string }>;
  /** Removes what the other calls made. Repeatable. */
  end(signal: AbortSignal): Promise<void>;
}

/** Image that no program writes to. */
export interface FrozenImage {
  readonly node: string;
  readonly file: string;
  /** Only this file is read; another file at that path is refused. Absent in migrations begun by an earlier build. */
  readonly identity?: FileIdentity;
  readonly format: 'raw' | 'qcow2';
  /** Backing files of the image, nearest first. */
  readonly below: readonly Pick<FrozenImage, 'file' | 'format' | 'identity'>[];
}
