import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  bootId,
  bootName,
  isAlive,
  isStopped,
  ownIdentity,
  parseStat,
  pids,
  readStat,
  startTicksOf,
} from '../../../src/system/processes/process.ts';

/** A line of /proc/PID/stat. */
function statLine(name: string, state: string, threads: number, startTicks: number): string {
  const before = Array.from({ length: 16 }, () => '0').join(' ');
  return `12 (${name}) ${state} ${before} ${threads} 0 ${startTicks} 0`;
}

describe('the identity of a process', () => {
  test("a process's identity is its pid with its start time", () => {
    const { pid, startTicks } = ownIdentity();
    assert.equal(pid, process.pid);
    assert.ok(startTicks > (startTicksOf(1) ?? Infinity));
    assert.deepEqual(ownIdentity(), { pid, startTicks });
  });

  test("a process's identity is read from the kernel's line whatever the program's name contains", () => {
    const line = statLine('a) b (c)', 'S', 1, 4711);
    assert.deepEqual(parseStat(line), { state: 'S', startTicks: 4711 });
    assert.equal(parseStat(''), undefined);
  });

  test("a process's identity outlives its first thread, and ends with its last one", () => {
    assert.deepEqual(parseStat(statLine('x', 'Z', 3, 4711)), { state: 'Z', startTicks: 4711 });
    assert.equal(parseStat(statLine('x', 'Z', 1, 4711)), undefined);
    assert.equal(parseStat(statLine('x', 'X', 0, 4711)), undefined);
  });

  test("a process's identity differs from a later process with the same pid", async (t) => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    t.after(() => child.kill('SIGKILL'));
    await once(child, 'spawn');
    const pid = child.pid ?? 0;
    const startTicks = startTicksOf(pid) ?? 0;
    assert.equal(isAlive({ pid, startTicks }), true);
    assert.equal(isAlive({ pid, startTicks: startTicks - 1 }), false);
    assert.equal(isStopped({ pid, startTicks }), false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(isAlive({ pid, startTicks }), false);
    assert.equal(startTicksOf(2 ** 30), undefined);
  });
});

test('a line of the kernel is read by the numbers of proc_pid_stat(5), and any other text is none', () => {
  const numbers = fc.array(fc.nat(), { minLength: 49, maxLength: 49 });
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('R', 'S', 'D', 'T'), numbers, (name, state, rest) => {
      const field = (number: number): number => rest[number - 4] ?? 0;
      assert.deepEqual(readStat(`12 (${name}) ${state} ${rest.join(' ')}\n`), {
        state,
        parent: field(4),
        session: field(6),
        flags: field(9),
        usedTicks: field(14) + field(15),
        childrenTicks: field(16) + field(17),
        startTicks: field(22),
        hasEnded: false,
      });
    }),
  );
  fc.assert(
    fc.property(fc.stringMatching(/^[12 ()SZx\n-]{0,120}$/), (text) => {
      const line = readStat(text);
      if (line !== undefined) assert.ok(line.startTicks >= 0, text);
    }),
  );
});

test('a boot of the host has one name', () => {
  assert.match(bootId(), /^[0-9a-f-]{36}$/);
  assert.equal(bootId(), bootId());
});

test('the processes of this host are listed once each, this one among them', () => {
  const found = pids();
  assert.ok(found.includes(process.pid));
  assert.equal(new Set(found).size, found.length);
  assert.ok(found.every((pid) => Number.isSafeInteger(pid) && pid > 0));
});

describe('the boot of a host', () => {
  test("a boot is the kernel's for the whole machine, and restarts with a container's first process", () => {
    assert.equal(bootName('boot-1', 'pid:[4026531836]', 1), 'boot-1');
    assert.equal(bootName('boot-1', 'pid:[4026532800]', 700), 'boot-1.700');
    assert.throws(() => bootName('boot-1', 'pid:[4026532800]'), /first process of this container/);
  });

  test("a boot differs between two lives of one container, although the kernel's is the same", () => {
    const file = path.resolve(import.meta.dirname, '../../../src/system/processes/process.ts');
    const script = `const { bootId, hostBoot } = await import(${JSON.stringify(file)});
      process.stdout.write(JSON.stringify([bootId(), hostBoot()]));`;
    const life = (): [string, string] => {
      const words = ['--user', '--map-root-user', '--fork', '--pid', '--mount-proc'];
      const argv = [...words, process.execPath, '--input-type=module', '-e', script];
      return JSON.parse(execFileSync('unshare', argv, { encoding: 'utf8' })) as [string, string];
    };
    const [first, second] = [life(), life()];
    assert.equal(first[0], second[0]);
    assert.notEqual(first[1], second[1]);
  });
});
