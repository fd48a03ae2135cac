import { systemClock } from '../../../clock.ts';
import { readProcess } from '../guest/process.ts';
import type { QemuHandle } from '../handle.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';

/**
 * The guest's own shutdown, asked for by its power button (ACPI). Its QEMU is asked to stay: it is paused then in its
 * state `shutdown`, holds the locks of its images, and a reset starts the guest again in the same process.
 */

type Monitor = Pick<QmpClient, 'execute' | 'query'>;

const POLL_MS = 100;

/** Presses the button, and waits until the guest has gone down. Pressed before: pressed again, which says the same. */
export async function shutDown(client: Monitor, signal: AbortSignal): Promise<void> {
  await client.execute('set-action', { shutdown: 'pause' }, signal);
  if (await isDown(client, signal)) return;
  await client.execute('system_powerdown', {}, signal);
  while (!(await isDown(client, signal))) await systemClock.sleep(POLL_MS, signal);
}

/** Starts a guest again that goes down within that time, or has; its QEMU does at a shutdown what it did before. */
export async function startAgain(
  client: Monitor,
  guest: QemuHandle,
  withinMs: number,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + withinMs;
  let down = await isDown(client, signal);
  while (!down && performance.now() < until) {
    await systemClock.sleep(POLL_MS, signal);
    down = await isDown(client, signal);
  }
  const argv = (await readProcess(guest.pid))?.argv ?? [];
  await client.execute('set-action', { shutdown: shutdownAction(argv) }, signal);
  // It may have gone down between the last look and the order.
  if (!down && !(await isDown(client, signal))) return;
  await client.execute('system_reset', {}, signal);
  await client.execute('cont', {}, signal);
}

/** What a QEMU that was started so does when its guest shuts down. Pure. */
export function shutdownAction(argv: readonly string[]): 'pause' | 'poweroff' {
  let action: 'pause' | 'poweroff' = 'poweroff';
  argv.forEach((word, at) => {
    if (/^--?no-shutdown$/.test(word)) action = 'pause';
    if (!/^--?action$/.test(word)) return;
    const said = /(?:^|,)shutdown=(pause|poweroff)(?:,|$)/.exec(argv[at + 1] ?? '')?.[1];
    if (said === 'pause' || said === 'poweroff') action = said;
  });
  return action;
}

async function isDown(client: Monitor, signal: AbortSignal): Promise<boolean> {
  const { status } = await client.query('query-status', {}, answers.runStatus, signal);
  return status === 'shutdown';
}
