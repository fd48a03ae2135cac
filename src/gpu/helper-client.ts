import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { CheckpointCalls } from './checkpoint.ts';
import { CudaError, NoGpu, type GpuPair, type ProcessState } from './driver-library.ts';
import { jsonOf } from '../formats/json.ts';
import {
  answer,
  found,
  freeBytes,
  processState,
  type FoundGpus,
  type HelperRequest,
} from './helper-protocol.ts';

const ASK_MS = 60_000;
/** GPU memory moves at a few hundred MB/s in the worst case. */
const COPY_MS = 1_800_000;

type UnnumberedRequest = HelperRequest extends infer R
  ? R extends HelperRequest
    ? Omit<R, 'id'>
    : never
  : never;

interface Waiter {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Client of the process that calls the driver; starts it on the first call, and again after its end. */
export class GpuHelper implements CheckpointCalls {
  readonly #argv: readonly [string, ...string[]];
  readonly #waiting = new Map<number, Waiter>();
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #nextId = 1;

  constructor(argv: readonly [string, ...string[]]) {
    this.#argv = argv;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async gpus(): Promise<FoundGpus> {
    return found.parse(await this.#ask({ do: 'gpus' }, ASK_MS));
  }

  /** Memory of the first GPU. */
  async freeBytes(): Promise<number> {
    return freeBytes.parse(await this.#ask({ do: 'free' }, ASK_MS));
  }

  async state(pid: number): Promise<ProcessState> {
    return processState.parse(await this.#ask({ do: 'state', pid }, ASK_MS));
  }

  async lock(pid: number, timeoutMs: number): Promise<void> {
    await this.#ask({ do: 'lock', pid, timeoutMs }, timeoutMs + ASK_MS);
  }

  async checkpoint(pid: number): Promise<void> {
    await this.#ask({ do: 'checkpoint', pid }, COPY_MS);
  }

  async restore(pid: number, pairs: readonly GpuPair[]): Promise<void> {
    await this.#ask({ do: 'restore', pid, pairs: [...pairs] }, COPY_MS);
  }

  async unlock(pid: number): Promise<void> {
    await this.#ask({ do: 'unlock', pid }, ASK_MS);
  }

  close(): void {
    this.#child?.stdin.end();
  }

  async #ask(asked: UnnumberedRequest, deadlineMs: number): Promise<unknown> {
    const child = (this.#child ??= this.#begin());
    const id = this.#nextId;
    this.#nextId += 1;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    const late = new CudaError(asked.do, `the driver has not answered within ${deadlineMs} ms`);
    const timer = setTimeout(() => reject(late), deadlineMs);
    this.#keeps(child, true);
    child.stdin.write(`${JSON.stringify({ id, ...asked })}\n`);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#keeps(child, false);
    }
  }

  /** The helper keeps this process alive only while an answer is awaited. */
  #keeps(child: ChildProcessByStdio<Writable, Readable, null>, stays: boolean): void {
    for (const each of [child, child.stdin, child.stdout] as { ref?(): void; unref?(): void }[]) {
      if (stays) each.ref?.();
      else each.unref?.();
    }
  }

  #begin(): ChildProcessByStdio<Writable, Readable, null> {
    const [program, ...args] = this.#argv;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = (why: string): void => {
      if (this.#child === child) this.#child = undefined;
      for (const waiter of this.#waiting.values()) waiter.reject(new CudaError('helper', why));
    };
    child.on('error', (error) => ended(error.message));
    child.on('exit', (code, signal) => ended(`it ended with ${code ?? signal}`));
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line));
    this.#keeps(child, false);
    return child;
  }

  #hear(line: string): void {
    const said = answer.safeParse(jsonOf(line));
    if (!said.success) {
      // Cannot be assigned to a call, so all waiting calls fail.
      for (const waiter of this.#waiting.values())
        waiter.reject(new CudaError('helper', 'an answer in no known form'));
      return;
    }
    const waiter = this.#waiting.get(said.data.id);
    if (said.data.ok) waiter?.resolve(said.data.value);
    else if (said.data.noGpu === true) waiter?.reject(new NoGpu(said.data.result));
    else waiter?.reject(new CudaError(said.data.call, said.data.result));
  }
}
