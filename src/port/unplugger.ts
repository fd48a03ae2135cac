import type { UnpluggedDevice } from '../protocol/unplug.ts';

/** Takes devices from a running guest, and gives them back. */
export interface Unplugger {
  /**
   * Has the guest release these devices; resolves once it has none of them. GODWIT_DEVICE_HELD where it does not
   * in time. Unplugged already: nothing.
   */
  unplug(devices: readonly UnpluggedDevice[], signal: AbortSignal): Promise<void>;
  /**
   * Plugs in again those that the guest has no more, as they were. One that it was asked for a moment ago is waited for
   * first: GODWIT_DEVICE_HELD where it keeps it, and may still release it.
   */
  plugAgain(devices: readonly UnpluggedDevice[], signal: AbortSignal): Promise<void>;
}
