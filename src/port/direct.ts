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
   * Whether that hypervisor may come to a socket that lies where only the user of this process may go. True where it has
   * ended, which others find out.
   */
  mayReachUs(handle: GuestHandle): boolean;
  /**
   * Starts the hypervisor of a guest anew by `launch`, as a machine that had lost its power; `handle` is the one that
   * has ended. Started already by an earlier call: answers the same again. Absent where the driver cannot.
   */
  relaunch?(
    handle: GuestHandle,
    launch: Launch,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<GuestHandle>;
  /**
   * Takes hold of a running guest. GODWIT_GUEST_MANAGED when its monitor is held by another, GODWIT_HYPERVISOR_LOST when
   * it is gone, GODWIT_MONITOR_UNREACHABLE when it cannot be reached and is not known to be gone.
   */
  openSource(guest: GuestHandle, signal: AbortSignal): Promise<SourceSession>;
  /** Makes ready to build the paused counterpart; starts nothing yet. */
  openDestination(options: DestinationOptions): Promise<DestinationSession>;
  /**
   * Offers images that no guest writes to any more for reading on a unix socket, each under its node's name, for as long
   * as `work` takes. `directory` is made for it, and removed. Absent where the driver cannot.
   */
  openFrozen?<T>(
    images: readonly FrozenImage[],
    directory: string,
    signal: AbortSignal,
    work: (socket: string, signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
}

/** TLS for the hypervisor's own stream: PEM files in a directory made for this migration (0700). */
export interface StreamTls {
  /** ca.crt, host.crt, host.key of this host. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Where the driver may lay out files as its hypervisor wants them. */
  readonly directory: string;
  /** Name of the other host: the destination checks the client certificate's name, the source the server's. */
  readonly peer: string;
  /** The fleet's list, asked by a driver that checks the peer itself; absent: it refuses no certificate. */
  readonly refuses?: Refuses;
}

export interface StreamSetup extends StreamSettings {
  readonly maxDowntimeMs: number;
  /** The guest has disks: no image is taken hold of before the guest is to run. */
  readonly disks?: boolean;
  /** Source: stop in `pre-switchover` until continueSwitchover. Without it the switch takes place by itself. */
  readonly holdSwitchover?: boolean;
  readonly maxBandwidth?: number | undefined;
  /** Source: the guest may be slowed down later (`adjust`); left out where the hypervisor cannot. */
  readonly mayThrottle?: boolean;
  readonly tls: boolean;
  readonly credentials?: StreamTls;
  /** Source: volumes that both hosts were proved to see, by their nodes. They stay, and nothing of them is sent. */
  readonly shared?: readonly string[];
  /** Destination: memory comes over this unix socket of its host, which it makes, and not over the network. */
  readonly socket?: string;
}

export interface HypervisorSession extends MayBalloon {
  /** Calls back in order of occurrence, starting with what is already so. Returns a function that stops it. */
  onEvent(listener: (event: HypervisorEvent) => void): () => void;
  /**
   * Calls back once, when this session has lost its hypervisor out of reach, which may go on: no event comes any more. A
   * source is opened anew then; a destination takes hold again by itself, and needs none. Returns a function that stops it.
   */
  onUnreachable?(listener: (error: GodwitError) => void): () => void;
  /** `gone` by proof; GODWIT_MONITOR_UNREACHABLE where it cannot be reached and is not known to be gone. */
  status(signal: AbortSignal): Promise<HypervisorStatus>;
  /** Closes the connection to the hypervisor, which continues as it is. */
  close(): Promise<void>;
}

export interface SourceSession extends HypervisorSession, MayCompare {
  readonly handle: GuestHandle;
  /** Why its hypervisor cannot send such a stream; undefined: it can. */
  whyNot(stream: Omit<StreamSettings, 'tls'>, signal: AbortSignal): Promise<string | undefined>;
  /** Absent where the driver cannot copy disks. */
  readonly disks?: DiskSource;
  /** Absent where the driver cannot move a disk on its host. */
  readonly relocator?: DiskRelocator;
  /** Lets the hypervisor, which may run as another user, connect to a unix socket of ours. */
  letIn?(socket: string): Promise<void>;
  /** Network ports (taps) of this host that the guest's NICs use now; removed once the guest has left. */
  ports(signal: AbortSignal): Promise<string[]>;
  /**
   * Describes the guest as it is now: queried, with everything the destination must rebuild. `unplug`: devices that it will
   * be without; the description is of a guest that has them no more. `isWayBack`: those that it does not have are passed over.
   */
  inspect(
    stream: Omit<StreamSettings, 'tls'>,
    signal: AbortSignal,
    unplug?: readonly string[],
    isWayBack?: boolean,
  ): Promise<Inspection>;
  /** Absent where the driver unplugs none. */
  readonly unplugger?: Unplugger;
  /**
   * Reads all that its hypervisor reports of the machine; resolves to what compares with it what `DestinationSession.machine`
   * reported on `host`. `without`: ids of devices that are yet to be unplugged here; `isCold`: the guest is started anew there,
   * so that its drivers agree anew with its devices. Absent where the driver cannot.
   */
  sameMachine?(
    signal: AbortSignal,
    without?: readonly string[],
    isCold?: boolean,
  ): Promise<(there: unknown, host: string) => NamedCheck>;
  /**
   * Measures what the running guest writes within several windows, and, where this process may look, what its memory
   * holds; takes seconds, and never stops it. GODWIT_CAPABILITY says why it cannot be measured. Absent where the driver cannot.
   * `knows` never rejects; a driver whose guests' pages do not go by the wire has no use for it.
   */
  measure?(signal: AbortSignal, brief?: Brief, knows?: Knows): Promise<GuestMeasure>;
  /** How its hypervisor was started, so that it can be started anew; GODWIT_RESTART says why it cannot. Absent with `relaunch`. */
  launch?(signal: AbortSignal): Promise<Launch>;
  /** Sets capabilities and parameters, and TLS objects; starts nothing. */
  configure(setup: StreamSetup, signal: AbortSignal): Promise<void>;
  /** Begins to send memory to host:port, to `unix:PATH` on its own host, or to `rdma:HOST:PORT`; `tlsHostname` is the name in the destination's certificate. */
  startMemory(address: string, tlsHostname: string | undefined, signal: AbortSignal): Promise<void>;
  sample(signal: AbortSignal): Promise<MemorySample>;
  /** What of the stream that runs can be changed now, post-copy included as it was configured. */
  levers(signal: AbortSignal): Promise<readonly SteeringMeasure[]>;
  /** While running. `throttlePercent`: of the guest's processor time, 0 gives it all back; only with its lever. */
  adjust(change: StreamChange, signal: AbortSignal): Promise<void>;
  startPostcopy(signal: AbortSignal): Promise<void>;
  /** After pre-switchover, where the switchover is held: let the last state go. */
  continueSwitchover(signal: AbortSignal): Promise<void>;
  /** Ends with the guest running here, when it is still the source's to run; waits until that is so. */
  cancel(signal: AbortSignal): Promise<HypervisorStatus>;
  /** Post-copy, after `postcopy-paused`: go on over a new connection. */
  recover(address: string, tlsHostname: string | undefined, signal: AbortSignal): Promise<void>;
  /** Runs the guest here again after everything was handed over. */
  resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void>;
  /**
   * As `resumeGuest`, but the guest starts from its disks, like a machine that lost its power: another host may have written
   * to them since it was stopped. Absent where the driver cannot.
   */
  startFromDisks?(permission: StartPermission, signal: AbortSignal): Promise<void>;
  /** It must not run here, and does or may in a moment: it is paused when this resolves, memory and all kept. */
  stopGuest(signal: AbortSignal): Promise<void>;
  /** Takes back what configure set, so that the guest is as it was found. */
  unconfigure(signal: AbortSignal): Promise<void>;
  /**
   * Has the guest shut itself down, as by its power button; resolves once it has, its hypervisor paused with it.
   * Shut down already: nothing. Absent where the driver cannot.
   */
  shutDown?(signal: AbortSignal): Promise<void>;
  /**
   * Takes that back: a guest that goes down within `withinMs`, or has, is started again; one that runs on is let alone.
   * Either ends with the guest running here, and what its hypervisor does at a shutdown as it was found.
   */
  startAgain?(withinMs: number, permission: StartPermission, signal: AbortSignal): Promise<void>;
  /** Cold, once the guest is down: sends what of it is on no disk that Godwit moves. Absent: there is nothing. */
  sendFiles?(
    setup: StreamSetup,
    address: string,
    tlsHostname: string | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** Cold: the guest that is down is kept until it is retired. Absent, or false: `quit` ends it before commit. */
  readonly waitsForRetire?: boolean;
  /** Ends the hypervisor's process, after the destination runs. Waits until it is gone; removes its sockets. */
  quit(signal: AbortSignal): Promise<void>;
}

export interface DestinationOptions {
  readonly host: string;
  readonly guest: string;
  /** The id of its migration; absent where nothing is to be built. */
  readonly migration?: string;
  /** The host that sends it, for refusals; absent where nothing is to be built. */
  readonly from?: string;
  /** Directory of this guest on this host: sockets, pid file, log (0700). */
  readonly guestDir: string;
  /** Directory of the logs that the guest writes, and of nothing else; made by the driver. Default: guestDir. */
  readonly logDir?: string;
  /** Directories, without symbolic links, whose storage has no file locks: images in them are opened without. */
  readonly unlockedDirs?: readonly string[];
  /** The start of an image on an export that no directory shows; rejects where it cannot be read. Absent: nobody can. */
  readonly headOf?: (file: string, bytes: number, signal: AbortSignal) => Promise<Buffer>;
  /** Network of a NIC at the source -> network here, where the names differ; looked up anew each time. */
  readonly networks: Readonly<Record<string, string>>;
  /** Where memory may arrive: on this address of the host, at a port of its range. */
  readonly listenHost: string;
  readonly ports: { readonly from: number; readonly to: number };
  /** It shuts down at its source and is started anew here: its processor may be another one. */
  readonly isCold?: boolean;
  /** Of the guest: the more it has, the longer its process takes to end. */
  readonly memoryBytes?: number;
  /** Set when a new mover takes over: the guest's process may already be there. */
  readonly handle?: GuestHandle;
  /** What `start` said of it then. */
  readonly launch?: Launch;
  /** Devices of this host that it is to get once it runs: `assess` judges them too, and `machine` leaves them out. */
  readonly plug?: readonly string[];
}

/** A NIC of the guest and the port of this host that it will use. */
export interface NicPlan {
  /** The driver's id of the NIC's backend. */
  readonly id: string;
  readonly mac: string;
  /** Bridge here that its port joins; absent where the core knows how its port is attached. */
  readonly bridge?: string;
  /** The NIC has several queues, so its port must be made for that. */
  readonly multiQueue?: boolean;
}

export interface DestinationStart extends Listens {
  readonly handle: GuestHandle;
  /** For `startCold`, also of another process; absent where the driver cannot. */
  readonly launch?: Launch;
}

/** Where a hypervisor waits for memory: host:port, or `unix:PATH`. */
export interface Listens {
  readonly memoryAddress: string;
}

export interface DestinationSession extends HypervisorSession {
  /** Absent where the driver cannot take disks that are copied. */
  readonly disks?: DiskTarget;
  /**
   * Checks the description against this host (hypervisor, machine type, processor, devices, images, bridges, ports).
   * `files`: the path here of each image of its disks, by block node, and of each volume that both hosts see.
   */
  assess(
    description: GuestDescription,
    stream: StreamSettings,
    signal: AbortSignal,
    files?: ReadonlyMap<string, string>,
  ): Promise<NamedCheck[]>;
  /**
   * The user, by number, as whom `start` will run the hypervisor, where it is not this process's own: it may open what
   * belongs to that user, and the ports of NICs are to be that user's.
   */
  user?(signal: AbortSignal): Promise<number | undefined>;
  /** NICs that need a port before `start`. */
  nics(description: GuestDescription): NicPlan[];
  /**
   * Starts the paused hypervisor, `ports` naming the tap of each NIC, and listens for memory.
   * Started already: answers the same again. Resolves to where it listens.
   */
  start(
    description: GuestDescription,
    setup: StreamSetup,
    ports: ReadonlyMap<string, string>,
    signal: AbortSignal,
    files?: ReadonlyMap<string, string>,
  ): Promise<DestinationStart>;
  /**
   * A cold move, after commit: ends the hypervisor that waits for memory, which will not come, and starts one that does not,
   * with the guest paused at its very beginning. Started already: answers the same again. Absent where the driver cannot.
   */
  startCold?(permission: StartPermission, signal: AbortSignal): Promise<GuestHandle>;
  /**
   * After `start`, before the guest runs: puts into these drives the media that `description` has in them; a drive that is
   * no disk of it becomes empty. `files` names the path here of each image. GODWIT_DISK_MISSING tells why
   * a medium cannot be carried over. Repeatable. Absent where the driver has no such drives.
   */
  changeMedia?(
    description: GuestDescription,
    drives: readonly string[],
    files: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * After `start`: which of these files, by block node, its hypervisor has open, and which of the paths have become another
   * file since. Undefined if this host does not let it look; absent if the driver cannot.
   */
  opened?(
    files: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<ImageIdentities | undefined>;
  /** After `start`: all that the hypervisor reports of the machine, for `SourceSession.sameMachine`. */
  machine?(signal: AbortSignal): Promise<unknown>;
  /**
   * Post-copy: waits until everything is here that the guest needs to run but for its pages; GODWIT_HYPERVISOR_LOST
   * where that will never be. Absent where `resumeGuest` may be called at any time.
   */
  ready?(signal: AbortSignal): Promise<void>;
  /** Runs the guest. Running already: nothing. */
  resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void>;
  /**
   * Once it is lost: whether it never ran the guest, by proof. Known only to the session that started it and has heard all
   * that it said; absent, or false: not known.
   */
  neverRan?(signal: AbortSignal): Promise<boolean>;
  /** Plugs one of those devices in, if the guest lacks it: GODWIT_DEVICE_NOT_OFFERED why not. Absent where the driver cannot. */
  plug?(name: string, signal: AbortSignal): Promise<void>;
  /** Announces to the network where the guest is now. */
  announce(signal: AbortSignal): Promise<void>;
  /** The same now and then for ten minutes, even after the session is closed. Absent where the driver cannot. */
  announceForLong?(signal: AbortSignal): Promise<void>;
  /**
   * Post-copy, after the stream broke or is stalled: closes it and listens anew, on `host` where that is given
   * (another address of this host), or on the unix `socket`. What an earlier call opened and nobody came to is closed.
   */
  listenAgain(signal: AbortSignal, host?: string, socket?: string): Promise<Listens>;
  /** Takes back what only the migration needed (TLS objects, capabilities); the guest runs on. */
  settle(signal: AbortSignal): Promise<void>;
  /**
   * Ends the hypervisor's process, if there is one, and removes what start made, the guest's directory included.
   * `keepsData`: the guest may have run here, so the state of its TPM and the files of a container stay.
   */
  destroy(signal: AbortSignal, options?: { readonly keepsData?: boolean }): Promise<void>;
}

/** What a source whose guest can be compared again while it moves offers; absent if the driver cannot. */
interface MayCompare {
  /**
   * Reads what the guest is made of now, to be compared with another moment of its move. Takes a few ms even while the
   * guest is stopped for the switch.
   */
  snapshot?(signal: AbortSignal): Promise<GuestSnapshot>;
  /** Calls back when the guest may have been changed; not every change has an event. Returns a function that stops it. */
  onChange?(listener: () => void): () => void;
}
