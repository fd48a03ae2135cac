import type { QmpClient } from './qmp/client.ts';

/**
 * What QEMU sends in the guest's name after it has come: by itself, so it goes on when the mover has ended. QEMU sends
 * nothing for a NIC whose link is down, and does not catch up when its owner sets the link up.
 */

const AT_ONCE = { initial: 50, max: 550, rounds: 5, step: 100 };

/** For ten minutes, once every two seconds: a link that is set up meanwhile is heard of soon. */
const FOR_LONG = { id: 'godwit-late', initial: 2000, max: 2000, rounds: 300, step: 0 };

type Client = Pick<QmpClient, 'execute'>;

export async function announceNow(client: Client, signal: AbortSignal): Promise<void> {
  await client.execute('announce-self', AT_ONCE, signal);
}

export async function announceForLong(client: Client, signal: AbortSignal): Promise<void> {
  await client.execute('announce-self', FOR_LONG, signal);
}

/** Before the guest leaves again: a QEMU that is paused would announce it, too. No rounds: QEMU deletes the timer. */
export async function endAnnouncing(client: Client, signal: AbortSignal): Promise<void> {
  await client.execute('announce-self', { ...FOR_LONG, rounds: 0 }, signal);
}
