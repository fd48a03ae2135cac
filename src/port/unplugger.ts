import type { UnpluggedDevice } from '../protocol/unplug.ts';

/** Unplugs devices of a running guest and plugs them in again. */
export interface Unplugger {
  /**
   * Asks the guest to release these devices, and resolves once they are gone. Idempotent. GODWIT_DEVICE_HELD if the
   * guest does not release them in time.
   */
  unplug(devices: readonly UnpluggedDevice[], signal: AbortSignal): Promise<void>;
  /**
   * Plugs in the missing devices again, as they were. Waits first for a device whose release was just requested:
   * GODWIT_DEVICE_HELD if the guest keeps it, and may still release it.
   */
  plugAgain(devices: readonly UnpluggedDevice[], signal: AbortSignal): Promise<void>;
}
