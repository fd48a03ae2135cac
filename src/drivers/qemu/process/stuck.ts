import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { connectSocket } from '../../../system/files/checked-open.ts';
import type { HypervisorStatus } from '../../../port/direct.ts';
import { userOf } from '../guest/process.ts';
import type { QemuHandle } from '../handle.ts';
import type { QmpClient } from '../qmp/client.ts';
import * as answers from '../qmp/answers.ts';

/**
 * A migration that QEMU does not end. If the stream breaks within milliseconds of the switch to post-copy, the
 * migration thread of QEMU 7.2 and 10.0 stays in the state `device`; a paused post-copy also waits for the rest.
 * The guest is intact if the destination never ran it, but `cont` is refused ("Migration is not finalized yet").
 * QEMU's debugger interface can still resume it.
 */

export const ENDED: ReadonlySet<string> = new Set(['none', 'cancelled', 'failed', 'completed']);
const RESUME_MS = 10_000;
const POLL_MS = 5;
const SOCKET = 'godwit-resume.sock';
const EXPORTS = 'godwit-taken.sock';
const TAKEN = 'godwit-taken';
/** Detach-and-continue packet of the GDB remote protocol: a letter and its checksum. */
const DETACH = '$D#44';

function isUnfinished(reason: string): boolean {
  return /not finalized/i.test(reason);
}

/** True if the migration has no active thread any more, regardless of its state. */
export async function isAbandoned(client: QmpClient, signal: AbortSignal): Promise<boolean> {
  const instances = await client.query('query-yank', {}, answers.yankInstances, signal);
  return !instances.some(({ type }) => type === 'migration');
}

export async function runAgain(
  client: QmpClient,
  guest: QemuHandle,
  signal: AbortSignal,
): Promise<void> {
  const answer = await client.request('cont', {}, signal);
  if (answer.ok) return;
  if (!isUnfinished(answer.reason)) throw client.refused('cont', answer.reason);
  await resumePastMigration(client, guest, signal);
}

/** Resumes the guest past the migration. Its QEMU cannot migrate again until it is restarted. */
async function resumePastMigration(
  client: QmpClient,
  { monitor, pid }: QemuHandle,
  signal: AbortSignal,
): Promise<void> {
  const file = path.join(path.dirname(monitor), SOCKET);
  await rm(file, { force: true });
  await withDeadline('resuming the guest', RESUME_MS, signal, async (inner) => {
    await takeDisks(client, path.dirname(monitor), inner);
    const line = `gdbserver unix:${file.replaceAll(',', ',,')},server=on,wait=off`;
    await client.execute('human-monitor-command', { 'command-line': line }, inner);
    try {
      await detach(file, userOf(pid), inner);
      const { running } = await client.query('query-status', {}, answers.runStatus, inner);
      if (!running) throw client.refused('gdbserver', 'the guest did not go on');
    } finally {
      const none = { 'command-line': 'gdbserver none' };
      await client.execute('human-monitor-command', none, inner).catch(() => undefined);
      await rm(file, { force: true });
    }
  });
}

/**
 * QEMU released the images with the device state, and only `cont` would activate them again. A guest that writes
 * to an inactive image ends its QEMU.
 */
async function takeDisks(client: QmpClient, directory: string, signal: AbortSignal): Promise<void> {
  const taken = await client.request('blockdev-set-active', { active: true }, signal);
  if (taken.ok) return;
  if (!/has not been found/.test(taken.reason)) {
    throw client.refused('blockdev-set-active', taken.reason);
  }
  // Before 10.0: an export activates its image first.
  const drives = await client.query('query-block', {}, answers.drives, signal);
  const nodes = drives.flatMap(({ inserted }) => (inserted === undefined ? [] : [inserted]));
  if (nodes.length === 0) return;
  const socket = path.join(directory, EXPORTS);
  await rm(socket, { force: true });
  const addr = { type: 'unix', data: { path: socket } };
  await client.execute('nbd-server-start', { addr }, signal);
  try {
    for (const { 'node-name': node } of nodes) {
      const given = { type: 'nbd', id: TAKEN, 'node-name': node, writable: false, name: TAKEN };
      await client.execute('block-export-add', given, signal);
      await client.execute('block-export-del', { id: TAKEN, mode: 'hard' }, signal);
      await untilGone(client, signal);
    }
  } finally {
    await client.request('nbd-server-stop', {}, signal).catch(() => undefined);
    await rm(socket, { force: true });
  }
}

async function untilGone(client: QmpClient, signal: AbortSignal): Promise<void> {
  for (;;) {
    const left = await client.query('query-block-exports', {}, answers.exportIds, signal);
    if (!left.some(({ id }) => id === TAKEN)) return;
    await systemClock.sleep(POLL_MS, signal);
  }
}

async function detach(file: string, user: number, signal: AbortSignal): Promise<void> {
  const socket = connectSocket(file, user);
  try {
    await once(socket, 'connect', { signal });
    socket.setEncoding('latin1').write(DETACH);
    for (let said = ''; !said.includes('$OK#');) {
      const [chunk] = (await once(socket, 'data', { signal })) as [string];
      said += chunk;
      if (said.length > 4096)
        throw godwitError('GODWIT_INTERNAL', { what: 'a debugger that talks' });
    }
  } finally {
    socket.destroy();
  }
}

/** True if the guest runs here without a stream, or can no longer be taken back. */
export function isSettled({ run, stream }: HypervisorStatus): boolean {
  if (run === 'gone' || run === 'handed-over') return true;
  // A source runs next to a paused post-copy only after it was resumed past it.
  return run === 'running' && (ENDED.has(stream) || stream === 'postcopy-paused');
}
