import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import type { LaunchSite } from './process/launch.ts';
import type { QmpClient } from './qmp/client.ts';
import { reopenPipes } from './qmp/pipes.ts';
import type { MonitorWatch } from './session.ts';

/**
 * Resumes post-copy. Commands to the destination are out of band: while pages are missing, its main loop may
 * wait for one and answer nothing.
 */

const PAUSED_MS = 5000;
const POLL_MS = 50;
const MAX_PORTS = 32;

/** Pauses the stream (`postcopy-paused`): QEMU notices a dead link only when TCP does, which is late. */
export async function pauseStream(
  client: QmpClient,
  watch: MonitorWatch,
  signal: AbortSignal,
): Promise<void> {
  // A destination before QEMU 8.2 reports `setup` while it listens again.
  if (watch.stream === 'postcopy-paused' || watch.stream === 'setup') return;
  const paused = await client.urgent('migrate-pause', {}, signal);
  if (!paused.ok) {
    // Before 8.2 this is refused during a recovery, which may be stuck itself.
    await client.urgent('yank', { instances: [{ type: 'migration' }] }, signal);
  }
  await withDeadline('pausing the stream', PAUSED_MS, signal, (inner) =>
    watch.until(({ type }) => type === 'postcopy-paused', inner),
  );
}

export interface ListenAt {
  readonly socket?: string | undefined;
  readonly host: string;
  readonly name: string;
  readonly ports: { readonly from: number; readonly to: number };
}

/** Listens for the stream's new connection and returns `host:port`. QEMU closes the earlier listener. */
export async function listenForRecovery(
  client: QmpClient,
  at: ListenAt,
  signal: AbortSignal,
): Promise<string> {
  const { address, reason } = await tryToListen(client, at, signal);
  if (address === undefined) throw client.refused('migrate-recover', reason);
  return address;
}

/**
 * Pauses and listens without the main loop, if it waits for a page itself. No event can be awaited there, so
 * QEMU is asked to listen until it has closed the old stream. Rejects with `silence` if the guest has no second
 * monitor: it has ended, Godwit did not start it, or it began as pre-copy.
 */
export async function recoverUnheard(
  { guest, guestDir, host }: LaunchSite,
  at: ListenAt,
  silence: unknown,
  signal: AbortSignal,
): Promise<string> {
  const owner = { guest, host, side: 'destination' as const };
  const client = await reopenPipes(guestDir, owner).catch(() => undefined);
  if (client === undefined) throw silence;
  try {
    const paused = await client.urgent('migrate-pause', {}, signal);
    let yanked = paused.ok;
    return await withDeadline('pausing the stream', PAUSED_MS, signal, async (inner) => {
      for (;;) {
        const { address, reason } = await tryToListen(client, at, inner);
        if (address !== undefined) return address;
        if (!/paused/i.test(reason)) throw client.refused('migrate-recover', reason);
        if (!yanked) await client.urgent('yank', { instances: [{ type: 'migration' }] }, inner);
        yanked = true;
        await systemClock.sleep(POLL_MS, inner);
      }
    });
  } finally {
    client.close();
  }
}

async function tryToListen(
  client: QmpClient,
  { host, name, ports, socket }: ListenAt,
  signal: AbortSignal,
): Promise<{ address: string; reason: '' } | { address: undefined; reason: string }> {
  if (socket !== undefined) {
    const address = `unix:${socket}`;
    const answer = await client.urgent('migrate-recover', { uri: address }, signal);
    return answer.ok ? { address, reason: '' } : { address: undefined, reason: answer.reason };
  }
  const { from, to } = ports;
  const shown = host.includes(':') ? `[${host}]` : host;
  const count = to - from + 1;
  // The chosen port could only be asked in band, so Godwit prescribes it. Recently used ports become free late.
  const start = Math.floor(performance.now()) % count;
  for (let tried = 0; tried < Math.min(count, MAX_PORTS); tried += 1) {
    const port = from + ((start + tried) % count);
    const uri = `tcp:${shown}:${port}`;
    const answer = await client.urgent('migrate-recover', { uri }, signal);
    if (answer.ok) return { address: `${shown}:${port}`, reason: '' };
    if (!/in use|available port/i.test(answer.reason)) {
      return { address: undefined, reason: answer.reason };
    }
  }
  throw godwitError('GODWIT_PORT_NONE', { host: name, from, to });
}
