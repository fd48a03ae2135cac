import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../clock.ts';
import { lifeOf } from '../../host/life.ts';
import type { BootProcess } from '../../host/life.ts';
import { replay } from './pager/journal.ts';
import { CONTROL, JOURNAL, LOST_STATUS, said } from './pager/main.ts';
import type { PagerSetup } from './pager/main.ts';
import { identify } from './processes.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/pager.ts', import.meta.url));
/** Where a pager writes why it ended. */
const LOG = 'pager.log';
/** To begin, on a machine that has much else to do. */
const BEGIN_MS = 30_000;
const LOOK_MS = 20;
/** Between two looks at whether it lives: its keepers hold its sockets open too. */
const LIVES_MS = 100;
const LOOKED = `${JSON.stringify({ looked: true })}\n`;
/** Pagers that end by themselves, before nobody tries another one. */
const MOST_FAILURES = 3;

export interface PagerListener {
  /** Written down before anything else is done with it. */
  begun(pager: BootProcess): Promise<void>;
  wants(file: number, page: number): void;
  all(): void;
  /** Nobody can go on with the container's memory. */
  lost(reason: string): void;
}

/**
 * The pager of one container, as a mover sees it. One that has ended is begun anew, in the place of the old one: its keepers
 * hold what it held.
 */
export class PagerClient {
  readonly #images: string;
  readonly #listener: PagerListener;
  #pager: BootProcess | undefined;
  #socket: net.Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  /** Another one may take its place. */
  #mayRenew = false;
  /** One said that nobody can go on. */
  #isLost = false;
  /** That ended by themselves, one after the other. */
  #failures = 0;

  constructor(images: string, listener: PagerListener) {
    this.#images = images;
    this.#listener = listener;
  }

  /** Before CRIU restores the container. */
  async begin(): Promise<void> {
    await this.#start(false);
  }

  /** It was looked at what is restored: pages may be given unasked, and a pager that ends is begun anew. */
  restored(): void {
    this.#mayRenew = true;
    this.#socket?.write(LOOKED);
  }

  /** In a process that did not begin it. */
  async attach(pager: BootProcess | undefined): Promise<void> {
    this.#mayRenew = true;
    if (pager === undefined || lifeOf(pager).state === 'gone') return this.#renew();
    this.#pager = pager;
    await this.#connect(pager);
  }

  came(file: number, first: number, count: number): void {
    this.#socket?.write(`${JSON.stringify({ came: [file, first, count] })}\n`);
  }

  async #start(again: boolean): Promise<void> {
    // Keepers hold the old socket open: whoever came to it would wait for ever.
    await rm(path.join(this.#images, CONTROL), { force: true });
    const log = await open(path.join(this.#images, LOG), 'a', 0o600);
    const argument = JSON.stringify({ again } satisfies PagerSetup);
    const child = spawn(process.execPath, [PROGRAM, argument], {
      cwd: this.#images,
      detached: true,
      stdio: ['ignore', 'ignore', log.fd],
    });
    child.on('error', () => undefined);
    child.on('exit', (code) => {
      if (code === LOST_STATUS) this.#isLost = true;
      this.#failures = code === null ? 0 : this.#failures + 1;
    });
    child.unref();
    await log.close();
    const pager = child.pid === undefined ? undefined : identify(child.pid);
    if (pager === undefined) throw new Error('the pager did not begin');
    this.#pager = pager;
    await this.#listener.begun(pager);
    await this.#connect(pager);
  }

  /** Its socket is named by its working directory: another path may be too long for one. */
  async #connect(pager: BootProcess): Promise<void> {
    const until = systemClock.monotonicMs() + BEGIN_MS;
    const at = `/proc/${pager.pid}/cwd/${CONTROL}`;
    for (;;) {
      if (lifeOf(pager).state === 'gone') return this.#ended(pager);
      const socket = await reach(at);
      if (socket !== undefined) return this.#follow(pager, socket);
      if (systemClock.monotonicMs() > until) throw new Error('the pager does not answer');
      await systemClock.sleep(LOOK_MS);
    }
  }

  #follow(pager: BootProcess, socket: net.Socket): void {
    this.#socket = socket;
    // Its end is seen by its process: an error of the connection says no more.
    const lines = createInterface({ input: socket }).on('line', (line) => this.#hear(line));
    lines.on('error', () => undefined);
    // What came while nobody was connected stands in the files alone.
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
    else if ('state' in word && word.state === 'all') this.#all();
  }

  #all(): void {
    if (this.#isOver) return;
    this.#over();
    this.#listener.all();
  }

  #over(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #ended(pager: BootProcess): Promise<void> {
    if (this.#isOver || this.#pager !== pager) return;
    this.#pager = undefined;
    this.#socket?.destroy();
    this.#socket = undefined;
    // What its status was is heard with its end, or a moment later.
    await systemClock.sleep(LOOK_MS);
    const mayGoOn = this.#mayRenew && !this.#isLost && this.#failures < MOST_FAILURES;
    if (mayGoOn) return this.#renew();
    this.#lost(await this.#words());
  }

  async #renew(): Promise<void> {
    const known = await this.#known();
    if (known?.all === true) return this.#all();
    try {
      await this.#start(true);
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
    }
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

  async #known(): Promise<ReturnType<typeof replay> | undefined> {
    const file = path.join(this.#images, JOURNAL);
    if (!existsSync(file)) return undefined;
    return replay(await readFile(file, 'utf8'), () => []);
  }

  /** Lets it go on without this process. */
  close(): void {
    this.#over();
  }

  /** Ends it, and what holds its userfaultfds: only of a container that has ended, or never runs. */
  async end(begun: BootProcess | undefined): Promise<void> {
    this.#over();
    const pager = this.#pager ?? begun;
    const keepers = (await this.#known())?.keepers ?? [];
    for (const each of pager === undefined ? keepers : [pager, ...keepers])
      if (lifeOf(each).state !== 'gone') kill(each.pid);
  }
}

async function reach(at: string): Promise<net.Socket | undefined> {
  const { promise, resolve } = Promise.withResolvers<net.Socket | undefined>();
  const socket = net.connect(at, () => resolve(socket));
  socket.on('error', () => resolve(undefined));
  return promise;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
