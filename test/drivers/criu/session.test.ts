import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { identify } from '../../../src/drivers/criu/host/processes.ts';
import { findWorker, sessionEnded, sessionOf } from '../../../src/drivers/criu/session.ts';

/** A process in a session of its own that leaves another one there when it ends. */
async function leaderOf(script: string) {
  const child = spawn('sh', ['-c', script], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const leader = identify(child.pid ?? 0);
  assert.ok(leader !== undefined);
  const ended = once(child, 'exit');
  return { leader, left: Number(said.toString().trim()), child, ended };
}

test("processes that outlive the session's first process are ended, and none of another session", async () => {
  const other = await leaderOf('sleep 60 & echo $!; read line; kill $!');
  const { leader, left, child, ended } = await leaderOf(
    'sleep 60 >/dev/null & echo $!; read line; exit 0',
  );
  try {
    assert.deepEqual(
      sessionOf(leader).toSorted((one, two) => one - two),
      [leader.pid, left].toSorted((one, two) => one - two),
    );
    child.stdin.end('\n');
    await ended;
    assert.deepEqual(sessionOf(leader), [left]);
    assert.equal(await sessionEnded(leader, 10_000, AbortSignal.timeout(60_000), 100), true);
    assert.deepEqual(sessionOf(leader), []);
    assert.ok(sessionOf(other.leader).includes(other.left));
  } finally {
    other.child.stdin.end('\n');
    await other.ended;
  }
});

test("no process is ended while the session's first process runs", async () => {
  const { leader, left, child, ended } = await leaderOf('sleep 60 & echo $!; read line; kill $!');
  try {
    assert.equal(await sessionEnded(leader, 100, AbortSignal.timeout(60_000), 0), false);
    assert.ok(sessionOf(leader).includes(left));
  } finally {
    child.stdin.end('\n');
    await ended;
  }
});

test('a session of an earlier boot, or whose process number was reused, counts as ended', async () => {
  const { leader, child, ended } = await leaderOf('sleep 60 & echo $!; read line; kill $!');
  try {
    assert.deepEqual(sessionOf({ ...leader, bootId: 'another' }), []);
    assert.deepEqual(sessionOf({ ...leader, startTicks: leader.startTicks - 1 }), []);
  } finally {
    child.stdin.end('\n');
    await ended;
  }
});

test('the program that works in a directory of images is found, and none of another directory', async () => {
  const args = ['-c', 'echo 1; read line', 'runc', 'restore', '--image-path', '/images/of/box'];
  const child = spawn('sh', args, { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const ended = once(child, 'exit');
  try {
    assert.deepEqual(findWorker('/images/of/box'), identify(child.pid ?? 0));
    assert.equal(findWorker('/images/of'), undefined);
    assert.equal(findWorker('restore'), undefined);
  } finally {
    child.stdin.end('\n');
    await ended;
  }
  assert.equal(findWorker('/images/of/box'), undefined);
});
