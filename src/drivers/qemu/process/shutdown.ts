import { systemClock } from '../../../clock.ts';
import { readProcess } from '../guest/process.ts';
import type { QemuHandle } from '../handle.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';

/**
 * Guest's own shutdown by its power button (ACPI). QEMU is told to stay: it pauses in state `shutdown`, keeps
 * its image locks, and a reset starts the guest again in the same process.
 */

type Monitor = Pick<QmpClient, 'execute' | 'query'>;

const POLL_MS = 100;

/** Presses the button and waits until the guest is down. Can be repeated. */
export async function shutDown(client: Monitor, signal: AbortSignal): Promise<void> {
  await client.execute('set-action', { shutdown: 'pause' }, signal);
  if (await isDown(client, signal)) return;
  await client.execute('system_powerdown', {}, signal);
  while (!(await isDown(client, signal))) await systemClock.sleep(POLL_MS, signal);
}

/**
 * Starts a guest again that shuts down within that time or already has, and restores QEMU's shutdown action. A
 * guest paused by its owner cannot shut down; it is not waited for and stays paused.
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
  // It may have shut down between the last look and the order.
  if (status !== 'shutdown' && !(await isDown(client, signal))) return;
  await client.execute('system_reset', {}, signal);
  await client.execute('cont', {}, signal);
}

/**
 * Starts a guest from its disks after its state was handed over. The reset completes before a processor runs,
 * because the memory may be older than the disks.
 */
export async function startFromDisks(
  client: Monitor,
  guest: Pick<QemuHandle, 'pid'>,
  signal: AbortSignal,
): Promise<void> {
  // A QEMU started with -no-reboot would end.
  await client.execute('set-action', { reboot: 'reset' }, signal);
  await client.execute('system_reset', {}, signal);
  while ((await statusOf(client, signal)) !== 'prelaunch') await systemClock.sleep(POLL_MS, signal);
  const argv = (await readProcess(guest.pid))?.argv ?? [];
  await client.execute('set-action', { reboot: rebootAction(argv) }, signal);
  await client.execute('cont', {}, signal);
}

export const shutdownAction = (argv: readonly string[]): 'pause' | 'poweroff' =>
  lastAction(argv, { 'no-shutdown': 'pause' }, /(?:^|,)shutdown=(pause|poweroff)(?:,|$)/) ??
  'poweroff';

export const rebootAction = (argv: readonly string[]): 'reset' | 'shutdown' =>
  lastAction(argv, { 'no-reboot': 'shutdown' }, /(?:^|,)reboot=(reset|shutdown)(?:,|$)/) ?? 'reset';

/** The last option for an action counts. */
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
