import type { QmpClient } from './qmp/client.ts';

/**
 * QEMU's announcements of an arrived guest. They continue after the mover ends. QEMU sends nothing for a NIC
 * whose link is down, and does not catch up when the link is set up.
 */

const AT_ONCE = { initial: 50, max: 550, rounds: 5, step: 100 };

/** Every two seconds for ten minutes, so that a link set up in that time is announced soon. */
const FOR_LONG = { id: 'godwit-late', initial: 2000, max: 2000, rounds: 300, step: 0 };

type Client = Pick<QmpClient, 'execute'>;

export async function announceNow(client: Client, signal: AbortSignal): Promise<void> {
  await client.execute('announce-self', AT_ONCE, signal);
}

export async function announceForLong(client: Client, signal: AbortSignal): Promise<void> {
  await client.execute('announce-self', FOR_LONG, signal);
}

/**
 * Called before the guest leaves again, because a paused QEMU would still announce it. With zero rounds QEMU
 * deletes the timer.
 */
export async function endAnnouncing(client: Client, signal: AbortSignal): Promise<void> {
  await client.execute('announce-self', { ...FOR_LONG, rounds: 0 }, signal);
}
