import type { GuestSnapshot } from '../migration/guest-changes/snapshot.ts';
import type { FileIdentity } from '../migration/image-identity.ts';
import type { NamedCheck } from '../migration/preflight/check.ts';
import type { DeviceState } from '../migration/preflight/switchover.ts';
import type { GuestDescription } from '../protocol/peer/migration.ts';
import type { SourceNic } from '../network/attachment.ts';
import type { UnpluggedDevice } from '../protocol/unplug.ts';

/** What a driver finds out about a guest that is to leave. */
export interface Inspection {
  /** What the guest was made of before it was described, if its driver reads that. */
  readonly snapshot?: GuestSnapshot;
  readonly description: GuestDescription;
  /** Findings on the source alone: state, devices that cannot move, options its hypervisor lacks. */
  readonly checks: readonly NamedCheck[];
  /** The guest's NICs with the ports of this host that they use; absent where the driver does not know. */
  readonly nics?: readonly SourceNic[];
  /** Path on this host of each image of its disks, by block node; absent without disks. */
  readonly files?: Readonly<Record<string, string>>;
  /**
   * Which file each image is, by block node: the file that the hypervisor has open. Absent for images that the hypervisor
   * reaches over a network, and if the driver cannot tell; then no image is removed here.
   */
  readonly identities?: Readonly<Record<string, FileIdentity>>;
  /** Why a copy of an image would not be the same as it, by block node; only images that cannot be copied alike. */
  readonly uncopyable?: Readonly<Record<string, string>>;
  /** Devices that were to be unplugged for the move, and how each is plugged in again; absent where none was. */
  readonly unplugged?: readonly UnpluggedDevice[];
  /** Directories and files of this host that the guest has mounted; absent: none. */
  readonly volumes?: readonly SourceVolume[];
  /** What the guest has on this host alone besides its disks; absent: nothing. It is lost with a host that dies. */
  readonly onThisHost?: string;
  /** What handing over may take more, ms: its state is written down and sent while it is stopped. Absent: nothing. */
  readonly handsOverMs?: number;
  /** What resuming it at the destination may take more, ms: what it had on devices comes back to them. Absent: nothing. */
  readonly resumesMs?: number;
  /** Devices that are passed through and move with the guest: what of each goes over while the guest is stopped. */
  readonly deviceStates?: readonly DeviceState[];
}

/** Stays where it is if both hosts are proved to see it, and is copied by the driver if not. */
export interface SourceVolume {
  /** As the destination's driver knows it. */
  readonly node: string;
  /** As people know it: where the guest has it. */
  readonly device: string;
  readonly file: string;
  readonly kind: 'directory' | 'file';
  readonly bytes: number;
  /** Findings that count only where it is copied, or only where it stays. */
  readonly ifCopied: readonly NamedCheck[];
  readonly ifShared: readonly NamedCheck[];
}
