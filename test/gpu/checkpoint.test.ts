import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  pairsBetween,
  resume,
  resumeAll,
  suspend,
  suspendAll,
  type CheckpointCalls,
} from '../../src/gpu/checkpoint.ts';
import { CudaError, type ProcessState } from '../../src/gpu/driver-library.ts';

const PID = 7;
const calls = ['lock', 'checkpoint', 'restore', 'unlock'] as const;
type Name = (typeof calls)[number];

/** The driver's states; the call that is named fails, before it has done its work or after. */
class Driver implements CheckpointCalls {
  now: ProcessState;
  readonly #fails: { readonly name: Name; readonly done: boolean } | undefined;

  constructor(now: ProcessState, fails?: { readonly name: Name; readonly done: boolean }) {
    this.now = now;
    this.#fails = fails;
  }

  async state(): Promise<ProcessState> {
    return this.now;
  }
  lock = (): Promise<void> => this.#do('lock', 'running', 'locked');
  checkpoint = (): Promise<void> => this.#do('checkpoint', 'locked', 'checkpointed');
  restore = (): Promise<void> => this.#do('restore', 'checkpointed', 'locked');
  unlock = (): Promise<void> => this.#do('unlock', 'locked', 'running');

  async #do(name: Name, from: ProcessState, to: ProcessState): Promise<void> {
    if (this.now !== from) throw new CudaError(name, 'CUDA_ERROR_ILLEGAL_STATE');
    const fails = this.#fails?.name === name ? this.#fails : undefined;
    if (fails === undefined || fails.done) this.now = to;
    if (fails !== undefined) throw new CudaError(name, 'CUDA_ERROR_UNKNOWN');
  }
}

const nowMs = (): number => 0;
const living = fc.constantFrom<ProcessState>('running', 'locked', 'checkpointed');
const failing = fc.record({ name: fc.constantFrom(...calls), done: fc.boolean() });

test('a process keeps running if its GPU state cannot be removed, whichever call fails, done or not', async () => {
  const taking = failing.filter(({ name }) => name === 'checkpoint');
  await fc.assert(
    fc.asyncProperty(living, taking, async (before, fails) => {
      const driver = new Driver(before, fails);
      const ended = await suspend(driver, PID, 1000, nowMs).then(
        () => 'suspended',
        () => 'failed',
      );
      assert.equal(driver.now, ended === 'suspended' ? 'checkpointed' : 'running');
    }),
  );
});

test('a removed GPU state is restored by the next caller, wherever the one before stopped', async () => {
  await fc.assert(
    fc.asyncProperty(living, failing, async (before, fails) => {
      const broken = new Driver(before, fails);
      await suspend(broken, PID, 1000, nowMs).catch(() => undefined);
      await resume(broken, PID, [], nowMs).catch(() => undefined);
      const next = new Driver(broken.now);
      await resume(next, PID, [], nowMs);
      assert.equal(next.now, 'running');
    }),
  );
});

test('a process that the driver has given up is left unchanged', async () => {
  const driver = new Driver('failed');
  await assert.rejects(suspend(driver, PID, 1000, nowMs), /given up on process 7/);
  await assert.rejects(resume(driver, PID, [], nowMs), /given up on process 7/);
});

test('every GPU is paired if one differs, none if all are the same, and their number must match', () => {
  assert.deepEqual(pairsBetween(['a', 'b'], ['a', 'b']), []);
  assert.deepEqual(pairsBetween(['a', 'b'], ['a', 'c']), [
    { from: 'a', to: 'a' },
    { from: 'b', to: 'c' },
  ]);
  assert.throws(() => pairsBetween(['a'], ['a', 'b']), /works on 1 GPUs, and 2 are there/);
});

/** Processes that work together: a checkpoint of one needs all of them locked. */
class Group implements CheckpointCalls {
  readonly states: ProcessState[];
  readonly said: string[] = [];
  readonly #fails: string | undefined;

  constructor(states: readonly ProcessState[], fails?: string) {
    this.states = [...states];
    this.#fails = fails;
  }

  async state(pid: number): Promise<ProcessState> {
    return this.states[pid] ?? 'failed';
  }
  lock = (pid: number): Promise<void> => this.#do('lock', pid, 'running', 'locked');
  checkpoint = (pid: number): Promise<void> => {
    assert.ok(!this.states.includes('running'), 'none works on while the state of another goes');
    return this.#do('checkpoint', pid, 'locked', 'checkpointed');
  };
  restore = (pid: number): Promise<void> => this.#do('restore', pid, 'checkpointed', 'locked');
  unlock = (pid: number): Promise<void> => {
    if (this.#fails === undefined)
      assert.ok(!this.states.includes('checkpointed'), 'none works before all have their state');
    return this.#do('unlock', pid, 'locked', 'running');
  };

  async #do(name: Name, pid: number, from: ProcessState, to: ProcessState): Promise<void> {
    if (this.#fails === `${name} ${pid}`) throw new CudaError(name, 'CUDA_ERROR_UNKNOWN');
    if (this.states[pid] !== from) throw new CudaError(name, 'CUDA_ERROR_ILLEGAL_STATE');
    this.said.push(`${name} ${pid}`);
    this.states[pid] = to;
  }
}

test('the state of several processes is removed once all are locked, and they continue once all have it', async () => {
  const some = fc.array(living, { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(some, async (states) => {
      const group = new Group(states);
      const pids = [...states.keys()];
      await suspendAll(group, pids, 1000);
      assert.deepEqual(new Set(group.states), new Set(['checkpointed']));
      await resumeAll(group, pids, []);
      await resumeAll(group, pids, []);
      assert.deepEqual(new Set(group.states), new Set(['running']));
    }),
  );
});

test('several processes all keep working if the state of one cannot be removed', async () => {
  const which = fc.record({
    count: fc.integer({ min: 1, max: 5 }),
    at: fc.integer({ min: 0, max: 4 }),
    name: fc.constantFrom('lock', 'checkpoint'),
  });
  await fc.assert(
    fc.asyncProperty(which, async ({ count, at, name }) => {
      const group = new Group(Array<ProcessState>(count).fill('running'), `${name} ${at % count}`);
      await assert.rejects(suspendAll(group, [...group.states.keys()], 1000), CudaError);
      assert.deepEqual(new Set(group.states), new Set(['running']));
    }),
  );
});

test('a process whose state cannot be restored is an error, and none continues without its state', async () => {
  const group = new Group(['checkpointed', 'checkpointed'], 'restore 1');
  await assert.rejects(resumeAll(group, [0, 1], []), CudaError);
  assert.deepEqual(group.states, ['locked', 'checkpointed']);
  await assert.rejects(resumeAll(new Group(['failed']), [0], []), /given up/);
});
