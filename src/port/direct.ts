import type { Brief, Knows } from '../host/memory-sample/pages.ts';
import type { HypervisorEvent, HypervisorStatus } from '../migration/direct/hypervisor.ts';
import type { StartPermission } from '../migration/permission/permission.ts';
import type { ImageIdentities } from '../migration/image-identity.ts';
import type { NamedCheck } from '../migration/preflight/check.ts';
import type { MemorySample } from '../protocol/public/migration.ts';
import type { SteeringMeasure } from '../protocol/public/steering.ts';
import type { GuestMeasure } from '../protocol/public/prediction.ts';
import type { GuestDescription, StreamSettings } from '../protocol/peer/migration.ts';
import type { GuestHandle, Launch } from '../protocol/mover/handle.ts';
import type { GodwitError } from '../errors.ts';
import type { MayBalloon } from './balloon.ts';
import type { DiskRelocator, DiskSource, DiskTarget, FrozenImage } from './disks.ts';
import type { Capabilities, DriverInventory } from './inventory.ts';
import type { Inspection } from './inspection.ts';
import type { StreamChange } from './stream-change.ts';
import type { Unplugger } from './unplugger.ts';
import type { GuestSnapshot } from '../migration/guest-changes/snapshot.ts';
import type { Refuses } from '../rpc/tls.ts';
export type { GuestHandle, HypervisorEvent, HypervisorStatus, Launch };

/** Godwit owns each step and the data path. */
export interface DirectDriver extends DriverInventory {
  readonly capabilities: Capabilities & { readonly shape: 'direct' };
  /**
   * True if the hypervisor can reach a socket in a directory that only this process's user may enter, or if it has
   * ended.
   */
  mayReachUs(handle: GuestHandle): boolean;
  /**
   * Starts the hypervisor again from `launch`, as after a power cut; `handle` is the hypervisor that ended.
   * Idempotent.
   */
  relaunch?(
    handle: GuestHandle,
    launch: Launch,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<GuestHandle>;
  /**
   * Attaches to a running guest. GODWIT_GUEST_MANAGED: another program holds its monitor. GODWIT_HYPERVISOR_LOST: it
   * is gone. GODWIT_MONITOR_UNREACHABLE: no connection, and its end is not proven.
   */
  openSource(guest: GuestHandle, signal: AbortSignal): Promise<SourceSession>;
  /** Prepares the paused counterpart; starts nothing. */
  openDestination(options: DestinationOptions): Promise<DestinationSession>;
  /**
   * Serves images that no guest writes to, read-only, on a unix socket until `work` settles; each export has its
   * node's name. Creates and removes `directory`.
   */
  openFrozen?<T>(
    images: readonly FrozenImage[],
    directory: string,
    signal: AbortSignal,
    work: (socket: string, signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
}

/** TLS for the hypervisor's stream: PEM files in a directory of this migration (0700). */
export interface StreamTls {
  /** ca.crt, host.crt and host.key of this host. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Scratch directory for files in the hypervisor's layout. */
  readonly directory: string;
  /**
   * Name of the other host, compared with the certificate of the client (at the destination) or the server (at the
   * source).
   */
  readonly peer: string;
  /**
   * Checks the fleet's revocation list, for drivers that verify the peer themselves. Absent: no certificate is
   * refused.
   */
  readonly refuses?: Refuses;
}

export interface StreamSetup extends StreamSettings {
  readonly maxDowntimeMs: number;
  /** The guest has disks, so its images must not be opened before it runs. */
  readonly disks?: boolean;
  /** Source: stop in `pre-switchover` until continueSwitchover. Otherwise the switchover happens at once. */
  readonly holdSwitchover?: boolean;
  readonly maxBandwidth?: number | undefined;
  /** Source: `adjust` may throttle the guest later. */
  readonly mayThrottle?: boolean;
  readonly tls: boolean;
  readonly credentials?: StreamTls;
  /** Source: nodes of volumes that both hosts were proved to see. They are not sent. */
  readonly shared?: readonly string[];
  /** Destination: unix socket to receive memory on, instead of a network port. */
  readonly socket?: string;
}

export interface HypervisorSession extends MayBalloon {
  /** Replays the current state, then calls back in order. Returns the unsubscribe function. */
  onEvent(listener: (event: HypervisorEvent) => void): () => void;
  /**
   * Calls back once if the hypervisor can no longer be reached. It may still run, and no more events come. The caller
   * opens a source again; a destination reconnects by itself. Returns the unsubscribe function.
   */
  onUnreachable?(listener: (error: GodwitError) => void): () => void;
  /** `gone` is proven. GODWIT_MONITOR_UNREACHABLE: no connection, and its end is not proven. */
  status(signal: AbortSignal): Promise<HypervisorStatus>;
  /** Closes the connection only; the hypervisor continues. */
  close(): Promise<void>;
}

export interface SourceSession extends HypervisorSession, MayCompare {
  readonly handle: GuestHandle;
  /** Reason why its hypervisor cannot send such a stream. */
  whyNot(stream: Omit<StreamSettings, 'tls'>, signal: AbortSignal): Promise<string | undefined>;
  readonly disks?: DiskSource;
  readonly relocator?: DiskRelocator;
  /** Lets the hypervisor, which may run as another user, connect to a unix socket of this process. */
  letIn?(socket: string): Promise<void>;
  /** Taps of this host that the guest's NICs use; removed once the guest has left. */
  ports(signal: AbortSignal): Promise<string[]>;
  /**
   * Describes everything that the destination must rebuild. `unplug`: devices that the description leaves out.
   * `isWayBack`: devices that the guest does not have are ignored.
   */
  inspect(
    stream: Omit<StreamSettings, 'tls'>,
    signal: AbortSignal,
    unplug?: readonly string[],
    isWayBack?: boolean,
  ): Promise<Inspection>;
  readonly unplugger?: Unplugger;
  /**
   * Reads the machine as its hypervisor reports it, and resolves to a comparison with the
   * `DestinationSession.machine` of `host`. `without`: ids of devices that are still to be unplugged here. `isCold`:
   * the guest boots again there, so its drivers negotiate features again.
   */
  sameMachine?(
    signal: AbortSignal,
    without?: readonly string[],
    isCold?: boolean,
  ): Promise<(there: unknown, host: string) => NamedCheck>;
  /**
   * Measures the writes of the running guest over several windows, and its memory's content if this process may read
   * it. Takes seconds and never pauses the guest. GODWIT_CAPABILITY if it cannot measure. `knows` never rejects;
   * drivers without the wire path ignore it.
   */
  measure?(signal: AbortSignal, brief?: Brief, knows?: Knows): Promise<GuestMeasure>;
  /** How its hypervisor was started, for `relaunch`. GODWIT_RESTART if it cannot be started again. */
  launch?(signal: AbortSignal): Promise<Launch>;
  /** Sets capabilities, parameters and TLS objects; starts nothing. */
  configure(setup: StreamSetup, signal: AbortSignal): Promise<void>;
  /**
   * Starts sending memory to host:port, to `unix:PATH` on this host, or to `rdma:HOST:PORT`. `tlsHostname` is the
   * name in the destination's certificate.
   */
  startMemory(address: string, tlsHostname: string | undefined, signal: AbortSignal): Promise<void>;
  sample(signal: AbortSignal): Promise<MemorySample>;
  /** Settings of the running stream that can be changed now. Includes post-copy if it was configured. */
  levers(signal: AbortSignal): Promise<readonly SteeringMeasure[]>;
  /** `throttlePercent` is a share of the guest's processor time; 0 ends throttling. Requires the matching lever. */
  adjust(change: StreamChange, signal: AbortSignal): Promise<void>;
  startPostcopy(signal: AbortSignal): Promise<void>;
  /** Continues after `pre-switchover`. */
  continueSwitchover(signal: AbortSignal): Promise<void>;
  /** Resolves once the guest runs here again, if the source may still run it. */
  cancel(signal: AbortSignal): Promise<HypervisorStatus>;
  /** Post-copy, after `postcopy-paused`: continues over a new connection. */
  recover(address: string, tlsHostname: string | undefined, signal: AbortSignal): Promise<void>;
  /** Runs the guest here again after everything was handed over. */
  resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void>;
  /** Like `resumeGuest`, but boots the guest from its disks, which another host may have written to meanwhile. */
  startFromDisks?(permission: StartPermission, signal: AbortSignal): Promise<void>;
  /** Pauses a guest that must not run here but does, or may in a moment. Memory is kept. */
  stopGuest(signal: AbortSignal): Promise<void>;
  /** Restores the settings that `configure` changed. */
  unconfigure(signal: AbortSignal): Promise<void>;
  /** Presses the guest's power button, and resolves once the guest is down, its hypervisor still paused. Idempotent. */
  shutDown?(signal: AbortSignal): Promise<void>;
  /**
   * Undoes `shutDown`. A guest that goes down within `withinMs`, or is down, is started again. Resolves with the
   * guest running here, and with the hypervisor's original action at a shutdown.
   */
  startAgain?(withinMs: number, permission: StartPermission, signal: AbortSignal): Promise<void>;
  /** Cold, guest down: sends its state that is not on a disk that Godwit moves. Absent: there is none. */
  sendFiles?(
    setup: StreamSetup,
    address: string,
    tlsHostname: string | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** Cold: keeps the stopped guest until it is retired. Otherwise `quit` ends it before commit. */
  readonly waitsForRetire?: boolean;
  /**
   * Ends the hypervisor after the destination runs. Resolves once its process and its sockets are gone. `keepsData`: nothing
   * proves that another host has the guest's files, so the files of a container stay.
   */
  quit(signal: AbortSignal, options?: { readonly keepsData?: boolean }): Promise<void>;
}

export interface DestinationOptions {
  readonly host: string;
  readonly guest: string;
  /** Migration id; absent if nothing will be built. */
  readonly migration?: string;
  /** Sending host, named in refusals; absent if nothing will be built. */
  readonly from?: string;
  /** Sockets, pid file and log of this guest (0700). */
  readonly guestDir: string;
  /** Logs that the guest writes, and nothing else; the driver creates it. Default: guestDir. */
  readonly logDir?: string;
  /** Real paths of directories on storage without file locks; images in them are opened without locking. */
  readonly unlockedDirs?: readonly string[];
  /** Reads the start of an image on an export that is not mounted here; rejects if unreadable. */
  readonly headOf?: (file: string, bytes: number, signal: AbortSignal) => Promise<Buffer>;
  /** Network of a NIC at the source -> network here, if the names differ. Read again each time. */
  readonly networks: Readonly<Record<string, string>>;
  /** Address of this host that memory arrives on, at a port of the host's range. */
  readonly listenHost: string;
  readonly ports: { readonly from: number; readonly to: number };
  /** Cold move: the guest boots again here, possibly on another processor model. */
  readonly isCold?: boolean;
  /** Guest memory; a larger guest's process takes longer to end. */
  readonly memoryBytes?: number;
  /** Set at a takeover: the guest's process may already exist. */
  readonly handle?: GuestHandle;
  /** Result of the earlier `start`. */
  readonly launch?: Launch;
  /** Devices of this host for the running guest. `assess` checks them; `machine` leaves them out. */
  readonly plug?: readonly string[];
}

export interface NicPlan {
  /** Driver's id of the NIC's backend. */
  readonly id: string;
  readonly mac: string;
  /** Bridge to join; absent if the core attaches the port. */
  readonly bridge?: string;
  /** The tap must have several queues. */
  readonly multiQueue?: boolean;
}

export interface DestinationStart extends Listens {
  readonly handle: GuestHandle;
  /** Input of `startCold`, which another process may call. */
  readonly launch?: Launch;
}

/** Address that a hypervisor waits for memory on: host:port or `unix:PATH`. */
export interface Listens {
  readonly memoryAddress: string;
}

export interface DestinationSession extends HypervisorSession {
  readonly disks?: DiskTarget;
  /**
   * Checks the description against this host: hypervisor, machine type, processor, devices, images, bridges, ports.
   * `files`: path here of each image and shared volume, by block node.
   */
  assess(
    description: GuestDescription,
    stream: StreamSettings,
    signal: AbortSignal,
    files?: ReadonlyMap<string, string>,
  ): Promise<NamedCheck[]>;
  /** Numeric user that `start` will use, if it differs from this process's. Files and taps must be open to it. */
  user?(signal: AbortSignal): Promise<number | undefined>;
  /** NICs that need a tap before `start`. */
  nics(description: GuestDescription): NicPlan[];
  /** Starts the paused hypervisor with the taps in `ports`, and resolves to its listening address. Idempotent. */
  start(
    description: GuestDescription,
    setup: StreamSetup,
    ports: ReadonlyMap<string, string>,
    signal: AbortSignal,
    files?: ReadonlyMap<string, string>,
  ): Promise<DestinationStart>;
  /** Cold, after commit: replaces the hypervisor that waits for memory by one that is paused at boot. Idempotent. */
  startCold?(permission: StartPermission, signal: AbortSignal): Promise<GuestHandle>;
  /**
   * After `start`, before the guest runs: inserts the media of `description` into these drives, and empties drives
   * that are not in it. `files`: path here of each image. GODWIT_DISK_MISSING if a medium cannot be carried over.
   * Repeatable.
   */
  changeMedia?(
    description: GuestDescription,
    drives: readonly string[],
    files: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * After `start`: which of these files, by block node, its hypervisor has open, and which paths lead to another file
   * since. Undefined if this host does not permit the look.
   */
  opened?(
    files: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<ImageIdentities | undefined>;
  /** After `start`: the machine as its hypervisor reports it, for `SourceSession.sameMachine`. */
  machine?(signal: AbortSignal): Promise<unknown>;
  /**
   * Post-copy: resolves once only pages are missing. GODWIT_HYPERVISOR_LOST if that cannot happen any more. Absent:
   * `resumeGuest` needs no wait.
   */
  ready?(signal: AbortSignal): Promise<void>;
  /** Idempotent. */
  resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void>;
  /**
   * After a loss: true proves that the hypervisor never ran the guest. Only the session that started it can prove
   * this.
   */
  neverRan?(signal: AbortSignal): Promise<boolean>;
  /** Plugs in one of those devices unless the guest has it. GODWIT_DEVICE_NOT_OFFERED on failure. */
  plug?(name: string, signal: AbortSignal): Promise<void>;
  /** Announces the guest's new place to the network. */
  announce(signal: AbortSignal): Promise<void>;
  /** Repeats the announcement for ten minutes, even after the session is closed. */
  announceForLong?(signal: AbortSignal): Promise<void>;
  /**
   * Post-copy, after the stream broke or stalled: closes it and listens again, on another address (`host`) or a unix
   * `socket`. Closes listeners of earlier calls that got no connection.
   */
  listenAgain(signal: AbortSignal, host?: string, socket?: string): Promise<Listens>;
  /** Removes what only the migration needed (TLS objects, capabilities); the guest keeps running. */
  settle(signal: AbortSignal): Promise<void>;
  /**
   * Ends the hypervisor's process, if there is one, and removes what start made, the guest's directory included.
   * `keepsData`: the guest may have run here, so the state of its TPM and the files of a container stay.
   */
  destroy(signal: AbortSignal, options?: { readonly keepsData?: boolean }): Promise<void>;
}

/** Implemented by drivers that can compare a guest again while it moves. */
interface MayCompare {
  /** Takes a few ms, even while the guest is stopped for the switchover. */
  snapshot?(signal: AbortSignal): Promise<GuestSnapshot>;
  /** Calls back after a possible change; some changes have no event. Returns the unsubscribe function. */
  onChange?(listener: () => void): () => void;
}
