import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import type { LaunchSite } from './process/launch.ts';
import type { QmpClient } from './qmp/client.ts';
import { reopenPipes } from './qmp/pipes.ts';
import type { MonitorWatch } from './session.ts';

/**
 * Post-copy resumed. Everything at the destination is said out of band: while pages are missing, its main loop
 * may itself wait for one, and answers nothing until the stream flows.
 */

/** How long QEMU may take to close a stream whose connections were shut, ms. */
const PAUSED_MS = 5000;
const POLL_MS = 50;
/** Ports that are tried before it is said that none is free. */
const MAX_PORTS = 32;

/**
 * Sees to it that the stream is `postcopy-paused`: a QEMU notices a dead link no earlier than TCP does, which is late.
 */
export async function pauseStream(
  client: QmpClient,
  watch: MonitorWatch,
  signal: AbortSignal,
): Promise<void> {
  // A destination before 8.2 that listens anew calls that `setup`.
  if (watch.stream === 'postcopy-paused' || watch.stream === 'setup') return;
  const paused = await client.urgent('migrate-pause', {}, signal);
  if (!paused.ok) {
    // Before 8.2 it is refused while a recovery is under way, which may itself have got stuck.
    await client.urgent('yank', { instances: [{ type: 'migration' }] }, signal);
  }
  await withDeadline('pausing the stream', PAUSED_MS, signal, (inner) =>
    watch.until(({ type }) => type === 'postcopy-paused', inner),
  );
}

export interface ListenAt {
  /** Instead of a port. */
  readonly socket?: string | undefined;
  readonly host: string;
  /** The name of this host, for errors. */
  readonly name: string;
  readonly ports: { readonly from: number; readonly to: number };
}

/** Listens for the stream's new connection; resolves to host:port. What listened before is closed by QEMU. */
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
 * Both of it where the monitor is silent: it belongs to a main loop that waits for a page itself, and is passed by.
 * No event can be waited for there, so QEMU is asked to listen until it has closed the old stream. Rejects with `silence` where the
 * guest has no other monitor: it has ended, is not of our making, or began as pre-copy.
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
  // Which port it took could only be asked in band: so it is prescribed. The last used come free late.
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
