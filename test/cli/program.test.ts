import assert from 'node:assert/strict';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { agentContract } from '../../src/protocol/contract.ts';
import { silentLog } from '../../src/log.ts';
import { listenUnix, type Listening } from '../../src/rpc/listen.ts';
import { serve, type Handlers } from '../../src/rpc/server.ts';
import { guest, ID, progress, report, sample, summary } from './fake.ts';

const program = path.resolve(import.meta.dirname, '../../godwit');

describe('the program and an agent behind a unix socket', () => {
  let folder = '';
  let socket = '';
  let agent: Listening;
  /** Settled by the test: the migration then ends as cancelled. */
  let mayEnd = Promise.withResolvers<void>();

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'godwit-program-'));
    socket = path.join(folder, 'agent.sock');
    const handlers: Partial<Handlers<typeof agentContract>> = {
      guests: () => ({ guests: [guest('web1', 'a')] }),
      migrate: () => ({ id: ID }),
      migrations: () => ({ migrations: [summary()] }),
      cancel: () => ({ accepted: true, what: 'web1 stays on a' }),
      async *events() {
        yield progress('memory', { sample: sample(1) });
        await mayEnd.promise;
        yield progress('cancelled');
      },
      report: () => report({ outcome: 'cancelled', phase: 'cancelled', runsAt: 'source' }),
    };
    const listener = serve(agentContract, handlers as Handlers<typeof agentContract>, {
      name: 'a',
      log: silentLog,
    });
    agent = await listenUnix(listener, socket, { log: silentLog });
  });
  after(async () => {
    mayEnd.resolve();
    await agent.close(0);
    await rm(folder, { recursive: true });
  });

  function start(...args: string[]): ChildProcessWithoutNullStreams {
    const env = { ...process.env, GODWIT_AGENT: socket };
    return spawn(program, args, { env });
  }

  async function ended(
    child: ChildProcessWithoutNullStreams,
  ): Promise<{ status: number; stdout: string }> {
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    const [status] = (await once(child, 'close')) as [number];
    return { status, stdout };
  }

  test('a list is printed and the program ends', async () => {
    const { status, stdout } = await ended(start('guests', '--json'));
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).guests[0].name, 'web1');
  });

  test('an error from the agent has its exit code', async () => {
    const { status, stdout } = await ended(start('cancel', 'm-99999999', '--json'));
    assert.equal(status, 3);
    assert.equal(JSON.parse(stdout).error.code, 'GODWIT_MIGRATION_UNKNOWN');
  });

  /** Resolves when the program has printed `words`. */
  function printed(child: ChildProcessWithoutNullStreams, words: string): Promise<void> {
    let text = '';
    return new Promise((resolve) => {
      child.stdout.on('data', (chunk) => {
        text += String(chunk);
        if (text.includes(words)) resolve();
      });
    });
  }

  for (const [signal, exit] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    test(`${signal} while a guest moves leaves the migration running and reports that`, async () => {
      mayEnd = Promise.withResolvers();
      const child = start('migrate', 'web1', '--to', 'b');
      let said = '';
      child.stderr.on('data', (chunk) => (said += String(chunk)));
      const end = ended(child);
      await printed(child, 'sending memory');
      child.kill(signal);
      assert.equal((await end).status, exit);
      assert.match(said, /^Detached: the migration goes on by itself/);
    });
  }

  test('a token is read from standard input up to its line end, its end or its bound', async () => {
    const token = `gwj1/b/127.0.0.1:1/${'f'.repeat(43)}/${'s'.repeat(32)}`;
    const flags = ['--config', path.join(folder, 'b.json'), '--state-dir', path.join(folder, 'b')];
    for (const [given, isClosed, answer] of [
      [`${token}\n`, false, /127\.0\.0\.1:1/],
      [token, true, /127\.0\.0\.1:1/],
      ['', true, /it is not one/],
      ['g'.repeat(5000), false, /it is not one/],
    ] as const) {
      const child = start('join', '-', ...flags);
      let stderr = '';
      child.stderr.on('data', (text) => (stderr += String(text)));
      child.stdin.write(given);
      if (isClosed) child.stdin.end();
      const { status } = await ended(child);
      assert.notEqual(status, 0);
      assert.match(stderr, answer);
      assert.ok(!stderr.includes('sss'), 'the secret is not repeated');
    }
  });

  test('a reader that disconnects ends the program quietly', async () => {
    const child = start('guests');
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (text) => (stderr += String(text)));
    await once(child, 'close');
    assert.equal(stderr, '');
  });
});
