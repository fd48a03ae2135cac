import type { SetBaseline } from './programs/baseline.ts';
import type { QemuProgram } from './programs/binaries.ts';
import type { ImageStore } from './images/images.ts';
import type { OfferedDevices } from './plug/offer.ts';
import type { TpmOptions } from './tpm/guest-tpm.ts';
import type { QemuCgroup } from './user/cgroup.ts';
import type { QemuUser } from './user/ids.ts';

/** What a host gives to every guest that comes. */
export interface HostContext {
  readonly programs: (signal: AbortSignal) => Promise<QemuProgram[]>;
  readonly images: ImageStore;
  /** How long its process may take to end once its monitor has closed, ms. */
  readonly endsMs?: number | undefined;
  readonly user: QemuUser;
  readonly imageDirs: readonly string[];
  /** Devices that guests may have. */
  readonly passthrough?: readonly string[] | undefined;
  readonly cgroup: QemuCgroup;
  /** What serves TPMs. */
  readonly tpm?: TpmOptions | undefined;
  /** Where the passphrases of encrypted disks are. */
  readonly luks?: { readonly keyDir?: string | undefined } | undefined;
  readonly baseline?: SetBaseline | undefined;
  /** What guests may get. */
  readonly devices?: OfferedDevices | undefined;
}
