import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { DestinationSession } from '../../../src/port/direct.ts';
import type { QemuHandle } from '../../../src/drivers/qemu/handle.ts';
import { QemuDriver } from '../../../src/drivers/qemu/driver.ts';
import { systemClock } from '../../../src/clock.ts';
import { toGodwitError } from '../../../src/errors.ts';
import { bootId, isAlive, startTicksOf } from '../../../src/system/processes/process.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { granted } from '../../migration/permission/granted.ts';

/** How a monitor fails while its process lives. `answers`: to so many commands first. */
type Failure =
  | { readonly kind: 'absent' | 'refused' | 'silent' | 'closes' }
  | { readonly kind: 'ends' | 'garbage'; readonly answers: number; readonly words: string };

const words = fc.string({ maxLength: 40 });
const failures: fc.Arbitrary<Failure> = fc.oneof(
  fc.record({ kind: fc.constantFrom('absent', 'refused', 'closes') }),
  fc.record({
    kind: fc.constantFrom('ends', 'garbage'),
    answers: fc.integer({ min: 0, max: 3 }),
    words,
  }),
);
const HELLO = {
  QMP: { version: { qemu: { major: 9, minor: 2, micro: 0 }, package: '' }, capabilities: [] },
};
const ANSWERS: Readonly<Record<string, unknown>> = {
  'query-status': { running: true, status: 'running' },
  'query-migrate': { status: 'none' },
};
/** How long the driver waits for the process to end; it never does. */
const ENDS_MS = 10;

describe('an unreachable monitor of a living process', () => {
  test('an unreachable monitor never leads to the end of its process, or to a second process', async (t) => {
    await fc.assert(
      fc.asyncProperty(failures, fc.boolean(), async (failure, isMarked) => {
        await using place = await livingQemu(t, failure);
        const { driver, handle, options, guestDir } = place;
        if (isMarked) writeFileSync(path.join(guestDir, 'incoming'), '');
        await stays(driver.openSource(handle, t.signal).then((source) => source.status(t.signal)));
        await stays(
          driver.relaunch(handle, place.launch, granted(handle.name), t.signal),
          'GODWIT_RESTART',
        );
        const events: string[] = [];
        const session = await driver.openDestination({ ...options, handle });
        session.onEvent(({ type }) => events.push(type));
        await stays(session.status(t.signal));
        await stays(session.ready?.(t.signal) ?? Promise.resolve());
        await stays(session.resumeGuest(granted(handle.name), t.signal));
        assert.equal(await session.neverRan?.(t.signal).catch(() => false), false);
        await session.close();
        assert.ok(!events.includes('lost'), events.join());
        // Of a directory that only a mark calls ours.
        await left(await driver.openDestination(options), t.signal);
        assert.equal(isAlive(handle), true);
        assert.equal(existsSync(guestDir), true);
        assert.deepEqual(await driver.life(handle), { state: 'alive' });
      }),
      { numRuns: 25 },
    );
  });

  test('a silent monitor is waited for, and proves nothing else', async (t) => {
    await using place = await livingQemu(t, { kind: 'silent' });
    const { driver, handle, options } = place;
    await stays(driver.openSource(handle, AbortSignal.timeout(50)));
    const session = await driver.openDestination(options);
    await stays(session.ready?.(AbortSignal.timeout(50)) ?? Promise.resolve());
    await session.close();
    assert.equal(isAlive(handle), true);
  });

  test('an unreachable monitor is distinguished from the end of its process, which is certain', async (t) => {
    await using place = await livingQemu(t, { kind: 'refused' });
    await place.end();
    const { driver, handle, options } = place;
    assert.equal((await driver.life(handle)).state, 'gone');
    await assert.rejects(driver.openSource(handle, t.signal), { code: 'GODWIT_HYPERVISOR_LOST' });
    const session = await driver.openDestination({ ...options, handle });
    assert.equal((await session.status(t.signal)).run, 'gone');
    await session.close();
  });

  test('the wait is longer the more memory the kernel has to reclaim', async (t) => {
    // Its monitor is closed before the process is gone.
    await using place = await livingQemu(t, { kind: 'ends', answers: 1, words: '' });
    const { driver, handle, options } = place;
    const memoryBytes = 64 * 1024 ** 3;
    const session = await driver.openDestination({ ...options, handle, memoryBytes });
    const judged = session.ready?.(t.signal).catch((thrown: unknown) => toGodwitError(thrown).code);
    await Promise.race([judged, systemClock.sleep(20 * ENDS_MS)]);
    await place.end();
    assert.equal(await judged, 'GODWIT_HYPERVISOR_LOST');
    await session.close();
  });

  test('a process of the next boot with the same numbers is not the guest', async (t) => {
    await using place = await livingQemu(t, { kind: 'refused' });
    const handle = { ...place.handle, bootId: place.handle.bootId?.replace(/^./, 'x') ?? 'x' };
    assert.equal((await place.driver.life(handle)).state, 'gone');
    await assert.rejects(place.driver.openSource(handle, t.signal), {
      code: 'GODWIT_HYPERVISOR_LOST',
    });
    assert.equal(isAlive(place.handle), true);
  });
});

/** The call may succeed, where the monitor answered long enough; it must not call the guest gone. */
async function stays(call: Promise<unknown>, only?: string): Promise<void> {
  const failed = await call.then(
    (value) => {
      const run = (value as { run?: string } | undefined)?.run;
      assert.notEqual(run, 'gone');
    },
    (thrown: unknown) => toGodwitError(thrown),
  );
  if (only !== undefined) assert.equal(failed?.code, only);
  assert.ok(failed?.code !== 'GODWIT_HYPERVISOR_LOST', failed?.message ?? '');
}

async function left(session: DestinationSession, signal: AbortSignal): Promise<void> {
  await session.destroy(signal).catch((thrown: unknown) => {
    assert.notEqual(toGodwitError(thrown).code, 'GODWIT_HYPERVISOR_LOST');
  });
  await session.close();
}

/** A process that the kernel shows as a QEMU of this guest, with a monitor of ours in its place. */
async function livingQemu(t: TestContext, failure: Failure) {
  const guestDir = tempDir(t);
  const monitor = path.join(guestDir, 'qmp.sock');
  // Its command line names its monitor, as that of a QEMU does.
  const child = spawn('bash', ['-c', 'read -r _', `unix:${monitor},server=on`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    argv0: 'qemu-system-x86_64',
  });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const ended = once(child, 'exit');
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  const handle: QemuHandle = {
    driver: 'qemu',
    name: 'web1',
    pid,
    startTicks: startTicksOf(pid) ?? 0,
    bootId: bootId(),
    monitor,
  };
  writeFileSync(path.join(guestDir, 'qemu.pid'), String(pid));
  const server = await serve(monitor, failure);
  const cacheDir = tempDir(t);
  const options = {
    host: 'a',
    guest: 'web1',
    guestDir,
    networks: {},
    listenHost: '127.0.0.1',
    ports: { from: 1, to: 2 },
  };
  return {
    driver: new QemuDriver({
      host: 'a',
      binaries: [],
      user: 'agent',
      imageDirs: [],
      cgroup: 'none',
      guestsDir: path.dirname(guestDir),
      cacheDir,
      endsMs: ENDS_MS,
    }),
    handle,
    options,
    guestDir,
    launch: { binary: '/bin/false', argv: [], cwd: guestDir },
    end,
    [Symbol.asyncDispose]: async () => {
      await server?.[Symbol.asyncDispose]();
      await end();
    },
  };
}

async function serve(file: string, failure: Failure): Promise<net.Server | undefined> {
  if (failure.kind === 'absent') return undefined;
  if (failure.kind === 'refused') {
    // As a socket that nobody listens on any more.
    writeFileSync(file, '');
    return undefined;
  }
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    speak(socket, failure);
  });
  server.listen(file);
  await once(server, 'listening');
  return server;
}

function speak(socket: net.Socket, failure: Failure): void {
  if (failure.kind === 'closes') return void socket.destroy();
  if (!('answers' in failure)) return;
  let reported = 0;
  let text = '';
  const fail = (): void => {
    if (failure.kind === 'ends') socket.end(`{"return": ${failure.words}`.slice(0, -1));
    else socket.write(`${failure.words}\nno JSON\n`);
  };
  socket.write(`${JSON.stringify(HELLO)}\n`);
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      const { execute, id } = JSON.parse(line) as { execute: string; id: number };
      reported += 1;
      // The first is the negotiation.
      if (reported > failure.answers) return fail();
      socket.write(`${JSON.stringify({ return: ANSWERS[execute] ?? {}, id })}\n`);
    }
  });
}
