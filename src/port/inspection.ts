import type { GuestSnapshot } from '../migration/guest-changes/snapshot.ts';
import type { FileIdentity } from '../migration/image-identity.ts';
import type { NamedCheck } from '../migration/preflight/check.ts';
import type { DeviceState } from '../migration/preflight/switchover.ts';
import type { GuestDescription } from '../protocol/peer/migration.ts';
import type { SourceNic } from '../network/attachment.ts';
import type { UnpluggedDevice } from '../protocol/unplug.ts';

/** A driver's inspection of a guest that is to leave. */
export interface Inspection {
  /** Taken before the description, if the driver supports it. */
  readonly snapshot?: GuestSnapshot;
  readonly description: GuestDescription;
  /** Source-only findings: state, devices that cannot move, missing options of the hypervisor. */
  readonly checks: readonly NamedCheck[];
  /** The guest's NICs and their ports on this host; absent if unknown. */
  readonly nics?: readonly SourceNic[];
  /** Path of each disk image on this host, by block node; absent without disks. */
  readonly files?: Readonly<Record<string, string>>;
  /**
   * File that the hypervisor has open for each image, by block node. Missing for network images, and if the driver
   * cannot tell; such images are not removed here.
   */
  readonly identities?: Readonly<Record<string, FileIdentity>>;
  /** Reason per block node, for images whose copy would differ. */
  readonly uncopyable?: Readonly<Record<string, string>>;
  /** Devices to unplug for the move, and how to plug each in again. */
  readonly unplugged?: readonly UnpluggedDevice[];
  /** Mounted directories and files of this host. */
  readonly volumes?: readonly SourceVolume[];
  /** State on this host alone, other than disks. It is lost if the host dies. */
  readonly onThisHost?: string;
  /** Extra time to hand over, ms: its state is saved and sent while it is stopped. */
  readonly handsOverMs?: number;
  /** Extra time to resume at the destination, ms: its device state is restored. */
  readonly resumesMs?: number;
  /** State of migratable passed-through devices that is sent while the guest is stopped. */
  readonly deviceStates?: readonly DeviceState[];
}

/** Volume that stays if both hosts are proved to see it, and that the driver copies otherwise. */
export interface SourceVolume {
  /** Node name in the destination's driver. */
  readonly node: string;
  /** Name for people: the place in the guest. */
  readonly device: string;
  readonly file: string;
  readonly kind: 'directory' | 'file';
  readonly bytes: number;
  /** Findings that count only if the volume is copied, or only if it stays. */
  readonly ifCopied: readonly NamedCheck[];
  readonly ifShared: readonly NamedCheck[];
}
