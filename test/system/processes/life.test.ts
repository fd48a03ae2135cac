import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  hasBegunToEnd,
  isEnding,
  lifeOf,
  lifeOfPid,
  type Kernel,
} from '../../../src/system/processes/life.ts';
import { bootId, ownIdentity } from '../../../src/system/processes/process.ts';

const BOOT = '11111111-2222-3333-4444-555555555555';
const PID = 4711;
const TICKS = 99;
const HANDLE = { pid: PID, startTicks: TICKS, bootId: BOOT };

function statLine(state: string, ticks: number, flags = 0, threads = 1): string {
  const middle = Array.from({ length: 10 }, () => '0').join(' ');
  return `${PID} (qemu) ${state} 1 1 1 0 0 ${flags} ${middle} ${threads} 0 ${ticks} 0`;
}

function failure(code: string): () => never {
  return () => {
    throw Object.assign(new Error(code), { code });
  };
}

const HEALTHY: Kernel = {
  stat: () => statLine('S', TICKS),
  probe: () => undefined,
  bootId: () => BOOT,
};

/** A process that is there for so many looks, and then gone. */
function endsAfter(looks: number): Kernel {
  let left = looks;
  return {
    ...HEALTHY,
    stat: () => (left-- > 0 ? statLine('S', TICKS) : failure('ENOENT')()),
    probe: () => (left >= 0 ? undefined : failure('ESRCH')()),
  };
}

describe('the life of a process', () => {
  test("a process's life is known for this process, with and without the boot in its record", () => {
    const own = ownIdentity();
    assert.deepEqual(lifeOf({ ...own, bootId: bootId() }), { state: 'alive' });
    assert.deepEqual(lifeOf(own), { state: 'alive' });
    assert.equal(isEnding(own), false);
  });

  test("a process's life is over after a kill", async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const pid = child.pid ?? 0;
    assert.deepEqual(lifeOfPid(pid), { state: 'alive' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(lifeOf({ pid, startTicks: 1, bootId: bootId() }).state, 'gone');
    assert.equal(lifeOfPid(pid).state, 'gone');
  });

  test("a process's life is over if another process has its pid", () => {
    const kernel = { ...HEALTHY, stat: () => statLine('S', TICKS + 1) };
    assert.equal(lifeOf(HANDLE, kernel).state, 'gone');
    assert.equal(lifeOf({ pid: PID, startTicks: TICKS }, kernel).state, 'gone');
  });

  test("a process's life is over after a reboot, whichever process has its pid and start time", () => {
    const kernel = { ...HEALTHY, bootId: () => BOOT.replaceAll('1', '6') };
    assert.equal(lifeOf(HANDLE, kernel).state, 'gone');
  });

  test("a process's life continues in records of earlier versions, which name no boot", () => {
    const kernel = { ...HEALTHY, bootId: failure('EACCES') };
    assert.deepEqual(lifeOf({ pid: PID, startTicks: TICKS }, kernel), { state: 'alive' });
  });

  test("a process's life is unknown if the kernel neither shows nor denies the process", () => {
    const reads = fc.constantFrom('EACCES', 'EMFILE', 'ENFILE', 'EIO', 'ENOENT', 'EPERM', 'ENOMEM');
    const probes = fc.constantFrom(undefined, 'EPERM', 'EINVAL');
    const boots = fc.constantFrom(undefined, BOOT);
    fc.assert(
      fc.property(reads, probes, boots, (read, probe, boot) => {
        const kernel = {
          ...HEALTHY,
          stat: failure(read),
          probe: probe === undefined ? () => undefined : failure(probe),
        };
        const life = lifeOf({ pid: PID, startTicks: TICKS, bootId: boot }, kernel);
        assert.equal(life.state, 'unknown');
        assert.equal(lifeOfPid(PID, kernel).state, 'unknown');
        assert.equal(isEnding(HANDLE, kernel), false);
      }),
    );
  });

  test("a process's life is unknown if its line is unreadable, or the boot cannot be read", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/\d+ 0 \d+/.test(text));
        assert.equal(lifeOf(HANDLE, { ...HEALTHY, stat: () => text }).state, 'unknown');
      }),
    );
    assert.equal(lifeOf(HANDLE, { ...HEALTHY, bootId: failure('EIO') }).state, 'unknown');
  });

  test('a process is ending once a check does not find it, even if the check before did', () => {
    assert.equal(hasBegunToEnd(PID, HEALTHY), false);
    assert.equal(hasBegunToEnd(PID, endsAfter(0)), true);
    assert.equal(isEnding(HANDLE, endsAfter(1)), true);
    const exiting = { ...HEALTHY, stat: () => statLine('R', TICKS, 0x4) };
    assert.equal(hasBegunToEnd(PID, exiting), true);
  });

  test("a process's life is over if no process has the pid, and for a zombie without threads", () => {
    const none = { ...HEALTHY, stat: failure('ENOENT'), probe: failure('ESRCH') };
    assert.equal(lifeOf(HANDLE, none).state, 'gone');
    const zombie = { ...HEALTHY, stat: () => statLine('Z', TICKS) };
    assert.equal(lifeOf(HANDLE, zombie).state, 'gone');
    const dying = { ...HEALTHY, stat: () => statLine('Z', TICKS, 4, 3) };
    assert.deepEqual(lifeOf(HANDLE, dying), { state: 'alive' });
    assert.equal(isEnding(HANDLE, dying), true);
  });
});
