import type { SetBaseline } from './baseline.ts';
import type { ImageStore } from './images.ts';
import type { MonitorWatch } from './session.ts';

/** What the session of a guest that is to leave works with. */
export interface SessionContext {
  /** This host's name, for the words of errors. */
  readonly host: string;
  readonly watch: MonitorWatch;
  readonly images: ImageStore;
  /** Sockets of the guest's QEMU, by path. */
  readonly sockets: readonly string[];
  readonly baseline?: SetBaseline | undefined;
}
