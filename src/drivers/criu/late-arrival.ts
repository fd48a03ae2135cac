import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { systemClock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { lifeOf } from '../../system/processes/life.ts';
import { kill } from '../../system/processes/process.ts';
import type { DestinationOptions, Listens, StreamSetup } from '../../port/direct.ts';
import { encodeFrame, FrameReader, hello, KINDS, write, type Frame } from './link/frames.ts';
import type { HostContext } from './host/host-context.ts';
import { LateFiles } from './files/late-files.ts';
import { listenForSource, type Listener } from './link/link.ts';
import { PagerClient } from './pages/pager-client.ts';
import { processesIn, setFrozen } from './host/processes.ts';
import { endFrozen } from './tear-down.ts';
import { assertWaits } from './pages/waiting-regions.ts';
import type { EventReplay } from './watch.ts';

const END_MS = 10_000;
const AGAIN_MS = 1000;

/**
 * Remaining memory of a container that already runs here. Received pages are written to files, and the pager
 * gives them to the processes. Another process can take this over at any time.
 */
export class LateArrival {
  readonly #context: HostContext;
  readonly #name: string;
  readonly #options: DestinationOptions;
  readonly #reported: EventReplay;
  readonly #pager: PagerClient;
  readonly #files = new LateFiles();
  #stream: Duplex | undefined;
  #listener: Listener | undefined;
  readonly #wanted = new Map<string, readonly [file: number, page: number]>();
  readonly #opened = Promise.withResolvers<void>();
  #isAll = false;
  /** The record says that all pages are here, so the source may release them. */
  #isWritten = false;
  /** Reason why processes wait or the container cannot move on, even with a connected source. */
  #why: string | undefined;
  #isOver = false;
  /** The source has confirmed the restore; from now on a broken connection can be recovered. */
  #isGiven = false;

  constructor(
    context: HostContext,
    name: string,
    options: DestinationOptions,
    reported: EventReplay,
  ) {
    this.#context = context;
    this.#name = name;
    this.#options = options;
    this.#reported = reported;
    this.#pager = new PagerClient(this.#images, {
      wants: (file, page) => this.#want(file, page),
      all: () => void this.#all(),
      waits: (reason) => this.#waits(reason),
      lost: (reason) => void this.#lost(reason),
    });
  }

  get #images(): string {
    return path.join(this.#context.records.dirOf(this.#name), 'in', 'images');
  }

  /**
   * Everything except the remaining pages is here: opens their files and starts the pager before CRIU restores
   * anything.
   */
  async begin(stream: Duplex, reader: FrameReader, rest: readonly Frame[]): Promise<void> {
    await this.#files.open(this.#images);
    // Reserved while the source can still run it: a full disk would block it later.
    await this.#files.reserve();
    this.#opened.resolve();
    await this.#context.records.change(this.#name, { late: true });
    await this.#pager.begin();
    this.#take(stream, reader, rest);
  }

  /** The container is restored and stopped. Rejects if it has read, or will read, wrong memory. */
  async restored(signal: AbortSignal): Promise<void> {
    // The pager gives no page unasked before this check: a given page would hide one that nobody waits for.
    await assertWaits(await processesIn(this.#freezer()), this.#images);
    // Must be recorded before the source may release its pages: a new pager cannot continue without it.
    await this.#pager.heardRestored(signal);
    if (this.#isOver) throw new Error('its pager ended while it was restored');
    this.#isGiven = true;
    this.#pager.restored();
    this.#follows();
    if (this.#isAll) void this.#completed();
    else if (this.#stream === undefined) this.#broke('the connection broke');
  }

  /** Continues in another process. All pages may be here without the source's knowledge. */
  async attach(): Promise<void> {
    await this.#files.open(this.#images);
    this.#opened.resolve();
    this.#isGiven = true;
    const isLate = this.#context.records.readSync(this.#name)?.late === true;
    if (!isLate) {
      // Nothing is recorded, so that a full disk does not prevent the cleanup that frees it.
      [this.#isAll, this.#isWritten] = [true, true];
      return this.#reported.to('completed');
    }
    this.#reported.to('postcopy-paused', 'the mover that took it in has ended');
    await this.#pager.attach();
  }

  #take(stream: Duplex, reader: FrameReader, rest: readonly Frame[]): void {
    this.#stream = stream;
    for (const each of this.#wanted.values()) this.#ask(...each);
    this.#frames(stream, reader, rest).catch((error: unknown) => {
      if (this.#stream === stream) this.#broke(toGodwitError(error).message);
    });
  }

  async #frames(stream: Duplex, reader: FrameReader, rest: readonly Frame[]): Promise<void> {
    for (const frame of rest) await this.#frame(frame, stream);
    for await (const bytes of stream.iterator({
      destroyOnReturn: false,
    }) as AsyncIterable<Buffer>) {
      for (const frame of reader.push(bytes)) await this.#frame(frame, stream);
      if (this.#stream !== stream) return;
    }
    throw new Error('the source closed the connection');
  }

  async #frame(frame: Frame, stream: Duplex): Promise<void> {
    await this.#files.take(frame, (file, first, count) => {
      for (let page = first; page < first + count; page += 1)
        this.#wanted.delete(`${file}:${page}`);
      this.#pager.came(file, first, count);
    });
    await write(stream, encodeFrame(KINDS.taken));
  }

  #want(file: number, page: number): void {
    const key = `${file}:${page}`;
    if (this.#wanted.has(key)) return;
    this.#wanted.set(key, [file, page]);
    this.#ask(file, page);
  }

  #ask(file: number, page: number): void {
    if (this.#stream === undefined) return;
    const body = Buffer.alloc(8);
    body.writeUInt32LE(file, 0);
    body.writeUInt32LE(page, 4);
    write(this.#stream, encodeFrame(KINDS.want, body)).catch(() => undefined);
  }

  async #all(): Promise<void> {
    this.#isAll = true;
    if (this.#isGiven) await this.#completed();
  }

  async #completed(): Promise<void> {
    while (!this.#isOver && !(await this.#writes())) await systemClock.sleep(AGAIN_MS);
    if (this.#isOver) return;
    this.#isWritten = true;
    if (this.#stream !== undefined)
      await write(this.#stream, encodeFrame(KINDS.whole)).catch(() => undefined);
    this.#reported.to('completed');
  }

  async #writes(): Promise<boolean> {
    try {
      await this.#context.records.change(this.#name, { late: undefined });
      return true;
    } catch (error) {
      this.#waits(`its record cannot be written: ${toGodwitError(error).message}`);
      return false;
    }
  }

  /** The processes wait for missing pages; nothing is lost. */
  #waits(reason: string | undefined): void {
    this.#why = reason;
    if (!this.#isGiven || this.#isOver) return;
    if (reason !== undefined || (this.#stream !== undefined && !this.#isAll)) this.#follows();
  }

  #follows(): void {
    if (this.#why === undefined) this.#reported.to('postcopy-active');
    else this.#paused(this.#why);
  }

  /** Once per reason, because each report is recorded on a possibly full disk. */
  #paused(why: string): void {
    const reason = why.slice(0, 1000);
    if (this.#reported.stream === 'postcopy-paused' && this.#reported.reason === reason) return;
    this.#reported.to('postcopy-paused', reason);
  }

  #broke(reason: string): void {
    this.#stream?.destroy();
    this.#stream = undefined;
    if (this.#isGiven && !this.#isAll && !this.#isOver) this.#paused(reason);
  }

  /** Ends its processes before they continue with wrong memory. */
  async #lost(reason: string): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const signal = AbortSignal.timeout(END_MS);
    const cgroup = this.#isGiven ? this.#cgroup() : undefined;
    if (cgroup !== undefined) {
      await setFrozen(cgroup, true, signal).catch(() => undefined);
      await endFrozen(cgroup, signal);
    }
    await this.#pager.end().catch(() => undefined);
    this.#stream?.destroy();
    this.#reported.lost(`the rest of its memory cannot come any more: ${reason}`);
  }

  /** Undefined without a record: the host's root cgroup contains all its processes. */
  #cgroup(): string | undefined {
    const { prefix, records } = this.#context;
    const cgroup = records.readSync(this.#name)?.made?.cgroup ?? '';
    if (cgroup === '' || cgroup === '/') return undefined;
    const old = `${prefix}/sys/fs/cgroup/freezer`;
    return path.join(existsSync(old) ? old : `${prefix}/sys/fs/cgroup`, cgroup);
  }

  #freezer(): string {
    const cgroup = this.#cgroup();
    if (cgroup === undefined) throw new Error(`the record of ${this.#name} is gone`);
    return cgroup;
  }

  /** Closes the listener and waits for the source again. */
  async listenAgain(setup: StreamSetup, host: string | undefined): Promise<Listens> {
    this.#listener?.close();
    const options = { ...this.#options, listenHost: host ?? this.#options.listenHost };
    const listener = await listenForSource(options, setup, (stream) => {
      stream.on('error', () => {});
      if (this.#listener !== listener || this.#isOver) return void stream.destroy();
      listener.close();
      this.#listener = undefined;
      this.#stream?.destroy();
      this.#stream = undefined;
      void this.#greeted(stream).catch(() => void stream.destroy());
    });
    this.#listener = listener;
    return { memoryAddress: listener.address };
  }

  async #greeted(stream: Duplex): Promise<void> {
    const reader = new FrameReader();
    for await (const bytes of stream.iterator({
      destroyOnReturn: false,
    }) as AsyncIterable<Buffer>) {
      const [first, ...rest] = reader.push(bytes);
      if (first === undefined) continue;
      const isHello = first.kind === KINDS.hello;
      const said = isHello ? hello.parse(JSON.parse(first.body.toString())) : undefined;
      if (said?.guest !== this.#name || said.rest !== true)
        throw new Error('it does not begin as the rest of a container does');
      await this.#opened.promise;
      for (const body of this.#files.missing())
        await write(stream, encodeFrame(KINDS.missing, body));
      await write(stream, encodeFrame(KINDS.ready));
      if (this.#isWritten) return write(stream, encodeFrame(KINDS.whole));
      this.#follows();
      return this.#take(stream, reader, rest);
    }
  }

  /**
   * Ends the restore together with the pager: a process being restored may wait for a page of a userfaultfd that
   * it holds itself, which only its end resolves.
   */
  async #endAll(): Promise<void> {
    const { worker } = this.#context.records.readSync(this.#name) ?? {};
    if (worker !== undefined && lifeOf(worker).state === 'alive') kill(worker.pid);
    await this.#pager.end();
  }

  /** `ended`: the container has ended or never runs; otherwise the pager continues without this process. */
  async close(ended: boolean): Promise<void> {
    this.#isOver = true;
    this.#listener?.close();
    if (ended) await this.#endAll();
    else this.#pager.close();
    if (this.#isAll) this.#stream?.end();
    else this.#stream?.destroy();
    await this.#files.close();
  }
}
