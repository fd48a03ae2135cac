import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Census } from '../../../../src/drivers/qemu/guest/census.ts';
import type { QemuProcess } from '../../../../src/drivers/qemu/guest/process.ts';

const { signal } = new AbortController();

interface Program {
  readonly comm: string;
  readonly startTicks: number;
  readonly isGuest?: boolean;
  readonly state?: string;
}

/** A host whose processes a test changes, and the numbers of those that were looked at in full. */
function hostWith(processes: Map<number, Program>) {
  const looked: number[] = [];
  const read: number[] = [];
  const found = (pid: number): Program => {
    const program = processes.get(pid);
    if (program === undefined) throw new Error('ENOENT');
    return program;
  };
  const census = new Census({
    pids: () => [...processes.keys()],
    stat: (pid) => {
      read.push(pid);
      const { comm, startTicks, state = 'S' } = found(pid);
      const fields = Array.from({ length: 19 }, (_, at) => (at === 17 ? '1' : '0'));
      return `${pid} (${comm}) ${state} ${fields.slice(1).join(' ')} ${startTicks} 0`;
    },
    look: (pid): Promise<QemuProcess | undefined> => {
      looked.push(pid);
      const { isGuest = false, startTicks } = found(pid);
      const seen = { pid, startTicks, binary: '', argv: [], cwd: '/' };
      return Promise.resolve(isGuest ? seen : undefined);
    },
  });
  return { census, looked, read };
}

describe('the census of guests', () => {
  test('the census looks once at a process that stays what it is', async () => {
    const guest = { comm: 'qemu-system-x86', startTicks: 7, isGuest: true };
    const processes = new Map<number, Program>([
      [1, { comm: 'init', startTicks: 1 }],
      [9, guest],
    ]);
    const { census, looked } = hostWith(processes);
    assert.equal(await census.take(signal), '9:7');
    assert.equal(await census.take(signal), '9:7');
    assert.deepEqual(looked, [1, 9]);
  });

  test("the census detects a guest that replaces a script with QEMU's name", async () => {
    const processes = new Map<number, Program>([[9, { comm: 'qemu-system-x86', startTicks: 7 }]]);
    const { census } = hostWith(processes);
    assert.equal(await census.take(signal), '');
    processes.set(9, { comm: 'qemu-system-x86', startTicks: 7, isGuest: true });
    assert.equal(await census.take(signal), '9:7');
  });

  test('the census detects a guest that replaces a program, and one that ends', async () => {
    const processes = new Map<number, Program>([[9, { comm: 'sh', startTicks: 7 }]]);
    const { census } = hostWith(processes);
    assert.equal(await census.take(signal), '');
    processes.set(9, { comm: 'qemu (x) S 1', startTicks: 7, isGuest: true });
    assert.equal(await census.take(signal), '9:7');
    processes.delete(9);
    assert.equal(await census.take(signal), '');
  });

  test('the census reads a long-lived other process only now and then, and a guest each time', async () => {
    const processes = new Map<number, Program>([
      ...Array.from({ length: 24 }, (_, at) => [at + 100, { comm: 'sh', startTicks: 1 }] as const),
      [9, { comm: 'qemu-system-x86', startTicks: 7, isGuest: true }],
    ]);
    const { census, read } = hostWith(processes);
    for (let time = 0; time < 20; time += 1) await census.take(signal);
    read.length = 0;
    for (let time = 0; time < 12; time += 1) await census.take(signal);
    assert.deepEqual(
      read.toSorted((one, other) => one - other),
      [...Array.from({ length: 12 }, () => 9), ...Array.from({ length: 24 }, (_, at) => at + 100)],
    );
  });

  test('the census detects within twelve rounds that another process became a guest, and a new guest at once', async () => {
    for (let pid = 100; pid < 112; pid += 1) {
      const processes = new Map<number, Program>([[pid, { comm: 'sh', startTicks: 7 }]]);
      const { census } = hostWith(processes);
      for (let time = 0; time < 20; time += 1) await census.take(signal);
      processes.set(pid, { comm: 'qemu-kvm', startTicks: 7, isGuest: true });
      processes.set(300, { comm: 'qemu-kvm', startTicks: 8, isGuest: true });
      const found: string[] = [];
      for (let time = 0; time < 12; time += 1) found.push(await census.take(signal));
      assert.ok(found.every((each) => each.includes('300:8')));
      assert.equal(found.at(-1), `${pid}:7 300:8`);
    }
  });

  test('the census distinguishes a process from a later one with the same number and name', async () => {
    const guest = { comm: 'qemu-kvm', startTicks: 7, isGuest: true };
    const processes = new Map<number, Program>([[9, guest]]);
    const { census } = hostWith(processes);
    await census.take(signal);
    processes.set(9, { ...guest, startTicks: 8 });
    assert.equal(await census.take(signal), '9:8');
    processes.set(9, { comm: 'qemu-kvm', startTicks: 8, state: 'Z' });
    assert.equal(await census.take(signal), '');
  });

  test('the census continues where a timed-out one stopped', async () => {
    const processes = new Map<number, Program>([
      [8, { comm: 'a', startTicks: 1 }],
      [9, { comm: 'b', startTicks: 1 }],
    ]);
    const { census, looked } = hostWith(processes);
    const over = new AbortController();
    const stopped = census.take(over.signal);
    over.abort(new Error('over'));
    await assert.rejects(stopped, /over/);
    await census.take(signal);
    assert.deepEqual(looked, [8, 9]);
  });
});
