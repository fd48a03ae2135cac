import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { command } from '../../../src/drivers/criu/command.ts';
import { sessionOf } from '../../../src/drivers/criu/session.ts';
import type { ProcessIdentity } from '../../../src/system/processes/process.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';
import { until } from '../../until.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-command-'));
});
afterEach(() => removeTree(directory));

/** Two processes, the second of which goes on alone where only the first one is ended. */
const script = (): string => `sleep 300 & echo $! > ${directory}/second; wait`;
const second = async (): Promise<number | undefined> =>
  Number(await readFile(path.join(directory, 'second'), 'utf8').catch(() => '')) || undefined;

test('a program that is ended as a group is gone with its children when its end is reported', async () => {
  for (const by of ['cancel', 'deadline']) {
    const cancelled = new AbortController();
    let leader: ProcessIdentity | undefined;
    const ran = command(['sh', '-c', script()], {
      host: 'a',
      whole: true,
      signal: cancelled.signal,
      started: async (process) => void (leader = process),
      ...(by === 'deadline' ? { deadlineMs: 500 } : {}),
    });
    if (by === 'cancel') {
      await until('its second process', 30_000, second);
      cancelled.abort(new Error('nobody needs it'));
    }
    await assert.rejects(ran, by === 'cancel' ? /nobody needs it/ : { code: 'GODWIT_DEADLINE' });
    assert.ok(leader !== undefined);
    assert.deepEqual(sessionOf(leader), [], by);
  }
});

test('a program that may leave others behind is ended alone, such as runc, whose CRIU continues', async () => {
  const cancelled = new AbortController();
  const { signal } = cancelled;
  const ran = command(['sh', '-c', script()], { host: 'a', signal });
  const left = await until('its second process', 30_000, second);
  try {
    cancelled.abort(new Error('nobody needs it'));
    await assert.rejects(ran, /nobody needs it/);
    assert.ok(process.kill(left, 0));
  } finally {
    process.kill(left, 'SIGKILL');
  }
});

test('a status that means finished work is not a failure, and any other one is', async () => {
  const ends = (status: number, alsoDone: number) =>
    command(['sh', '-c', `echo said; exit ${status}`], { host: 'a', alsoDone });
  assert.equal(await ends(1, 1), 'said\n');
  await assert.rejects(ends(2, 1), { code: 'GODWIT_HYPERVISOR' });
});
