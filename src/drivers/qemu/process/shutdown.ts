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

/**
 * Starts a guest again that goes down within that time, or has; its QEMU does at a shutdown what it did before. A guest that
 * its owner has paused cannot go down, so it is not waited for, and stays paused.
 */
export async function startAgain(
  client: Monitor,
  guest: QemuHandle,
  withinMs: number,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + withinMs;
  let status = await statusOf(client, signal);
  while (status === 'running' && performance.now() < until) {
    await systemClock.sleep(POLL_MS, signal);
    status = await statusOf(client, signal);
  }
  const argv = (await readProcess(guest.pid))?.argv ?? [];
  await client.execute('set-action', { shutdown: shutdownAction(argv) }, signal);
  // It may have gone down between the last look and the order.
  if (status !== 'shutdown' && !(await isDown(client, signal))) return;
  await client.execute('system_reset', {}, signal);
  await client.execute('cont', {}, signal);
}

/**
 * Starts a guest from its disks whose state has been handed over. The reset is waited for before a processor runs: the
 * guest's memory may be older than its disks.
 */
export async function startFromDisks(
  client: Monitor,
  guest: Pick<QemuHandle, 'pid'>,
  signal: AbortSignal,
): Promise<void> {
  // One that was started with -no-reboot would end.
  await client.execute('set-action', { reboot: 'reset' }, signal);
  await client.execute('system_reset', {}, signal);
  while ((await statusOf(client, signal)) !== 'prelaunch') await systemClock.sleep(POLL_MS, signal);
  const argv = (await readProcess(guest.pid))?.argv ?? [];
  await client.execute('set-action', { reboot: rebootAction(argv) }, signal);
  await client.execute('cont', {}, signal);
}

/** What a QEMU that was started so does when its guest shuts down. Pure. */
export const shutdownAction = (argv: readonly string[]): 'pause' | 'poweroff' =>
  lastAction(argv, { 'no-shutdown': 'pause' }, /(?:^|,)shutdown=(pause|poweroff)(?:,|$)/) ??
  'poweroff';

/** What a QEMU that was started so does when its guest restarts. Pure. */
export const rebootAction = (argv: readonly string[]): 'reset' | 'shutdown' =>
  lastAction(argv, { 'no-reboot': 'shutdown' }, /(?:^|,)reboot=(reset|shutdown)(?:,|$)/) ?? 'reset';

/** Of several words for one action the last counts. */
function lastAction<Action extends string>(
  argv: readonly string[],
  byOption: Readonly<Record<string, Action>>,
  inAction: RegExp,
): Action | undefined {
  let action: Action | undefined;
  argv.forEach((word, at) => {
    const option = /^--?([a-z-]+)$/.exec(word)?.[1] ?? '';
    if (option === 'action') action = (inAction.exec(argv[at + 1] ?? '')?.[1] as Action) ?? action;
    else if (Object.hasOwn(byOption, option)) action = byOption[option];
  });
  return action;
}

async function isDown(client: Monitor, signal: AbortSignal): Promise<boolean> {
  return (await statusOf(client, signal)) === 'shutdown';
}

async function statusOf(client: Monitor, signal: AbortSignal): Promise<string> {
  const { status } = await client.query('query-status', {}, answers.runStatus, signal);
  return status;
}
