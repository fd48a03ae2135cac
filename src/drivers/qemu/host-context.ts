import type { SetBaseline } from './programs/baseline.ts';
import type { QemuProgram } from './programs/binaries.ts';
import type { ImageStore } from './images/images.ts';
import type { OfferedDevices } from './plug/offer.ts';
import type { TpmOptions } from './tpm/guest-tpm.ts';
import type { QemuCgroup } from './user/cgroup.ts';
import type { QemuUser } from './user/ids.ts';

export interface HostContext {
  readonly programs: (signal: AbortSignal) => Promise<QemuProgram[]>;
  readonly images: ImageStore;
  /** Time that a guest's process may take to end after its monitor closed, ms. */
  readonly endsMs?: number | undefined;
  readonly user: QemuUser;
  readonly imageDirs: readonly string[];
  readonly passthrough?: readonly string[] | undefined;
  readonly cgroup: QemuCgroup;
  readonly tpm?: TpmOptions | undefined;
  readonly luks?: { readonly keyDir?: string | undefined } | undefined;
  readonly baseline?: SetBaseline | undefined;
  readonly devices?: OfferedDevices | undefined;
}
