import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../clock.ts';
import { ignoring } from '../../../system/ignoring.ts';
import { lifeOf, type BootProcess } from '../../../system/processes/life.ts';
import { kill } from '../../../system/processes/process.ts';
import { replay } from '../pager/journal.ts';
import { controlOf, JOURNAL, LOST_STATUS, PAGERS, said, type PagerSetup } from '../pager/main.ts';
import { pagersIn } from '../pager/one-pager.ts';
import { identify, runningIn } from '../host/processes.ts';

const PROGRAM = fileURLToPath(new URL('../../../bin/pager.ts', import.meta.url));
const LOG = 'pager.log';
/** Time for the start on a busy machine. */
const BEGIN_MS = 30_000;
const LOOK_MS = 20;
/** Interval of checks whether it lives: its keepers also hold its sockets open. */
const LIVES_MS = 100;
const LOOKED = `${JSON.stringify({ looked: true })}\n`;
const AGAIN_MS = 1000;

export interface PagerListener {
  wants(file: number, page: number): void;
  all(): void;
  /** Reason why some or all processes are given nothing; undefined once they are. */
  waits(reason: string | undefined): void;
  lost(reason: string): void;
}

/** Mover's connection to a container's pager. An ended pager is replaced, because its keepers hold its descriptors. */
export class PagerClient {
  readonly #images: string;
  readonly #listener: PagerListener;
  #pager: BootProcess | undefined;
  #socket: net.Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #mayRenew = false;
  #isLost = false;
  #waits: string | undefined;
  readonly #spawn: typeof spawnPager;
  readonly #restored = Promise.withResolvers<void>();

  constructor(images: string, listener: PagerListener, spawning = spawnPager) {
    this.#images = images;
    this.#listener = listener;
    this.#spawn = spawning;
    this.#restored.promise.catch(() => undefined);
  }

  /** Called before CRIU restores the container. */
  async begin(): Promise<void> {
    if (!(await this.#start(false))) throw new Error(await this.#words());
  }

  /** The pager has recorded CRIU's completion, so another pager can continue. Rejects if it ends before. */
  async heardRestored(signal: AbortSignal): Promise<void> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(BEGIN_MS)]);
    within.throwIfAborted();
    const onAbort = (): void => this.#restored.reject(within.reason);
    within.addEventListener('abort', onAbort, { once: true });
    await this.#restored.promise;
  }

  /** The restored container was checked: pages may be given without a request, and an ended pager is replaced. */
  restored(): void {
    this.#mayRenew = true;
    this.#socket?.write(LOOKED);
  }

  /**
   * Connects a process that did not start the pager. A pager that has not recorded itself yet is ended by the
   * next one.
   */
  async attach(): Promise<void> {
    this.#mayRenew = true;
    if (await wasAllGiven(this.#images)) return await this.#all();
    const pager = (await this.#pagers()).findLast((each) => lifeOf(each).state !== 'gone');
    // Not awaited: pages that arrive meanwhile are in their files.
    if (pager === undefined) return void this.#renew();
    this.#pager = pager;
    void this.#connect(pager).then((lives) => (lives ? undefined : this.#ended(pager)));
  }

  came(file: number, first: number, count: number): void {
    this.#socket?.write(`${JSON.stringify({ came: [file, first, count] })}\n`);
  }

  /** False if it has already ended. */
  async #start(again: boolean): Promise<boolean> {
    const log = await open(path.join(this.#images, LOG), 'a', 0o600);
    try {
      const child = this.#spawn(this.#images, { again }, log.fd);
      child.on('error', () => undefined);
      child.on('exit', (code) => {
        if (code === LOST_STATUS) this.#isLost = true;
      });
      child.unref();
      this.#pager = child.pid === undefined ? undefined : identify(child.pid);
    } finally {
      await log.close();
    }
    if (this.#pager === undefined) throw new Error('the pager did not begin');
    return this.#connect(this.#pager);
  }

  /**
   * The socket is addressed relative to the working directory, because a longer path may exceed the limit. False
   * if it has ended.
   */
  async #connect(pager: BootProcess): Promise<boolean> {
    const until = systemClock.monotonicMs() + BEGIN_MS;
    const at = `/proc/${pager.pid}/cwd/${controlOf(pager.pid)}`;
    for (;;) {
      if (this.#isOver) return true;
      if (lifeOf(pager).state === 'gone') return false;
      const socket = await reach(at);
      if (socket !== undefined) {
        this.#follow(pager, socket);
        return true;
      }
      if (systemClock.monotonicMs() > until) {
        if (!this.#mayRenew) throw new Error('the pager does not answer');
        this.#waitsFor('its pager does not answer');
      }
      await systemClock.sleep(LOOK_MS);
    }
  }

  #follow(pager: BootProcess, socket: net.Socket): void {
    this.#socket = socket;
    this.#waitsFor(undefined);
    // The pager's process shows its end; a connection error adds nothing.
    const lines = createInterface({ input: socket }).on('line', (line) => this.#hear(line));
    lines.on('error', () => undefined);
    // Pages that arrived without a connection are only in the files.
    socket.write(`${JSON.stringify({ look: true })}\n`);
    if (this.#mayRenew) socket.write(LOOKED);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      if (lifeOf(pager).state === 'gone') void this.#ended(pager);
    }, LIVES_MS);
    this.#timer.unref();
  }

  #hear(line: string): void {
    const word = said.parse(JSON.parse(line));
    if ('wants' in word) this.#listener.wants(...word.wants);
    else if ('waits' in word) this.#waitsFor(word.waits ?? undefined);
    else {
      this.#restored.resolve();
      if (word.state === 'all') void this.#all();
    }
  }

  #waitsFor(reason: string | undefined): void {
    if (this.#isOver || reason === this.#waits) return;
    this.#waits = reason;
    this.#listener.waits(reason);
  }

  /** A pager that ended right after recording this has left its keepers, for which the processes would wait. */
  async #all(): Promise<void> {
    await this.#endKeepers();
    if (this.#isOver) return;
    this.#over();
    this.#listener.all();
  }

  #over(): void {
    this.#isOver = true;
    this.#restored.reject(new Error('its pager ended while it was restored'));
    clearInterval(this.#timer);
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #ended(pager: BootProcess): Promise<void> {
    if (this.#isOver || this.#pager !== pager) return;
    this.#pager = undefined;
    clearInterval(this.#timer);
    this.#socket?.destroy();
    this.#socket = undefined;
    // The exit status arrives with its end or a moment later.
    await systemClock.sleep(LOOK_MS);
    if (this.#isLost || !this.#mayRenew) return this.#lost(await this.#words());
    return this.#renew();
  }

  /** Repeats until one has started: the keepers hold the descriptors and the processes wait. */
  async #renew(): Promise<void> {
    while (!this.#isOver) {
      const why = await this.#whyNotRenewed();
      if (why === undefined) return;
      if (this.#isLost) return this.#lost(await this.#words());
      this.#waitsFor(`no pager can be begun: ${why}`);
      await systemClock.sleep(AGAIN_MS);
    }
  }

  async #whyNotRenewed(): Promise<string | undefined> {
    try {
      const isAll = await wasAllGiven(this.#images);
      if (isAll) await this.#all();
      if (isAll || (await this.#start(true))) return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    await systemClock.sleep(LOOK_MS);
    return this.#words();
  }

  #lost(reason: string): void {
    if (this.#isOver) return;
    this.#over();
    this.#listener.lost(reason);
  }

  async #words(): Promise<string> {
    const text = await readFile(path.join(this.#images, LOG), 'utf8').catch(() => '');
    return text.trim().split('\n').at(-1)?.slice(0, 500) ?? 'its pager has ended';
  }

  async #pagers(): Promise<BootProcess[]> {
    const text = await readFile(path.join(this.#images, PAGERS), 'utf8').catch(ignoring('ENOENT'));
    return pagersIn(text ?? '');
  }

  close(): void {
    this.#over();
  }

  /** Ends it and its keepers; only for a container that has ended or never runs. */
  async end(): Promise<void> {
    this.#over();
    const own = this.#pager === undefined ? [] : [this.#pager];
    for (const each of [...own, ...(await this.#pagers())]) if (lives(each)) kill(each.pid);
    await this.#endKeepers();
  }

  /** Includes unrecorded keepers: processes that run its program there and are not listed pagers. */
  async #endKeepers(): Promise<void> {
    const { keepers } = await journalOf(this.#images).catch(() => replay('', () => []));
    const running = await runningIn(this.#images, PROGRAM);
    const pagers = (await this.#pagers().catch(() => [])).filter(lives).map(({ pid }) => pid);
    for (const each of [...keepers, ...running])
      if (!pagers.includes(each.pid) && lives(each)) kill(each.pid);
  }
}

const lives = (each: BootProcess): boolean => lifeOf(each).state !== 'gone';

/** True if all pages of a container's images have arrived and were given; its pager records that last. */
export async function wasAllGiven(images: string): Promise<boolean> {
  return (await journalOf(images)).all;
}

async function journalOf(images: string): Promise<ReturnType<typeof replay>> {
  const text = await readFile(path.join(images, JOURNAL), 'utf8').catch(ignoring('ENOENT'));
  return replay(text ?? '', () => []);
}

export function spawnPager(images: string, setup: PagerSetup, log: number): ChildProcess {
  return spawn(process.execPath, [PROGRAM, JSON.stringify(setup)], {
    cwd: images,
    detached: true,
    stdio: ['ignore', 'ignore', log],
  });
}

async function reach(at: string): Promise<net.Socket | undefined> {
  const { promise, resolve } = Promise.withResolvers<net.Socket | undefined>();
  const socket = net.connect(at, () => resolve(socket));
  socket.on('error', () => resolve(undefined));
  return promise;
}
