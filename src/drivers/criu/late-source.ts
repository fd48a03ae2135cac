import { open } from 'node:fs/promises';
import path from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { systemClock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { StreamSetup } from '../../port/direct.ts';
import { KINDS, type Frame } from './link/frames.ts';
import type { HostContext } from './host/host-context.ts';
import { keepPages } from './pages/kept-pages.ts';
import { lazyPages, pagesFile } from './pages/lazy-pages.ts';
import { connectTo } from './link/link.ts';
import { PAGE } from './pages/memory.ts';
import { PageSender } from './link/sender.ts';
import type { EventReplay } from './watch.ts';

const BATCH = 64;
/** Frames in flight; a requested page waits behind as many. */
const WINDOW = 8;

/** State of a page: 0 if it was sent or need not be; GOES if it must be sent; WANTED if a process also waits for it. */
const GOES = 1;
const WANTED = 2;

/**
 * Container that may run at its destination while the rest of its memory is in dump images here. Pages are sent
 * until the destination confirms all. A broken connection changes nothing; `recover` continues.
 */
export class LateSource {
  readonly reported: EventReplay;
  readonly #context: HostContext;
  readonly #name: string;
  #setup: StreamSetup;
  #left = new Map<number, Uint8Array>();
  /** Alternating file and page numbers from `#nextWant` on. Each page is listed once, which bounds the list. */
  #wants: number[] = [];
  #nextWant = 0;
  #sender: PageSender | undefined;
  #sentBefore = 0;
  #underWay = 0;
  #leftPages = 0;
  #pageRequests = 0;
  #wake: (() => void) | undefined;
  /**
   * `#isGiven`: the destination has the restored container, as recorded. `#isWhole`: the destination has
   * confirmed all pages, possibly before that record.
   */
  #isGiven = false;
  #isWhole = false;
  #isOver = false;
  readonly #startedMs = systemClock.monotonicMs();

  constructor(context: HostContext, name: string, setup: StreamSetup, reported: EventReplay) {
    this.#context = context;
    this.#name = name;
    this.#setup = setup;
    this.reported = reported;
  }

  get #directory(): string {
    return path.join(this.#context.records.dirOf(this.#name), 'out');
  }

  get #images(): string {
    return path.join(this.#directory, 'images');
  }

  /**
   * Uses the container's connection; `left`: remaining pages of each file. Resolves once the destination has the
   * container in place.
   */
  async begin(
    sender: PageSender,
    left: Map<number, Uint8Array>,
    withinMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const restored = sender.heard(KINDS.restored, signal, withinMs);
    restored.catch(() => {});
    await sender.send(KINDS.done, { late: true });
    this.#left = left;
    this.#take(sender);
    await restored;
    signal.throwIfAborted();
  }

  /** The container is at its destination: from now on a broken connection can be recovered. */
  async given(): Promise<void> {
    await this.#context.records.change(this.#name, { leaving: 'late' });
    this.#isGiven = true;
    this.reported.to('postcopy-active');
    if (this.#isWhole) this.#endIfWhole();
    else if (this.#sender === undefined)
      this.reported.to('postcopy-paused', 'the connection broke');
  }

  async recover(
    address: string,
    tlsHostname: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.reported.stream === 'completed') return;
    this.#drop();
    this.#isGiven = true;
    this.reported.to('postcopy-recovering');
    try {
      const stream = await connectTo(address, tlsHostname, this.#setup, signal);
      const sender = new PageSender(stream, this.#setup.compress === 'zstd');
      sender.bytesPerS = this.#setup.maxBandwidth;
      const pages = await lazyPages(this.#images);
      for (const each of pages.values()) each.fill(0);
      // The peer may request pages together with its message that it is ready.
      [this.#left, this.#wants, this.#nextWant] = [pages, [], 0];
      const missing = (frame: Frame): void => noteMissing(pages, frame);
      sender.onFrame = (frame) =>
        frame.kind === KINDS.missing ? missing(frame) : this.#hear(frame);
      await sender.send(KINDS.hello, { version: 1, guest: this.#name, rest: true });
      await sender.heard(KINDS.ready, signal);
      this.#take(sender);
      if (this.#isOver) return;
      this.reported.to('postcopy-active');
    } catch (error) {
      this.#paused(toGodwitError(error).message);
      throw error;
    }
  }

  #take(sender: PageSender): void {
    this.#sender = sender;
    this.#underWay = 0;
    this.#leftPages = 0;
    for (const pages of this.#left.values())
      for (const page of pages) if (page > 0) this.#leftPages += 1;
    sender.onFrame = (frame) => this.#hear(frame);
    this.#send(sender).catch((error: unknown) => {
      if (this.#sender === sender) this.#paused(toGodwitError(error).message);
    });
  }

  #hear({ kind, body }: Frame): void {
    if (kind === KINDS.taken) this.#underWay -= 1;
    if (kind === KINDS.want) {
      this.#pageRequests += 1;
      this.#want(body.readUInt32LE(0), body.readUInt32LE(4));
    }
    if (kind === KINDS.whole) {
      this.#isWhole = true;
      this.#endIfWhole();
    }
    this.#wake?.();
  }

  /** Ignores pages that were sent, are already requested, or are in no file. */
  #want(file: number, page: number): void {
    const left = this.#left.get(file);
    if (left?.[page] !== GOES) return;
    left[page] = WANTED;
    this.#wants.push(file, page);
  }

  async #send(sender: PageSender): Promise<void> {
    const background = this.#inOrder();
    while (this.#sender === sender) {
      while (this.#underWay >= WINDOW || (this.#wants.length === 0 && this.#leftPages === 0)) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await Promise.race([promise, sender.broken]);
        if (this.#sender !== sender) return;
      }
      const [file, page] = this.#takeWant() ?? background.next().value ?? [-1, -1];
      await this.#sendFrom(sender, file, page);
    }
  }

  #takeWant(): readonly [file: number, page: number] | undefined {
    const [file, page] = [this.#wants[this.#nextWant], this.#wants[this.#nextWant + 1]];
    if (file === undefined || page === undefined) return undefined;
    this.#nextWant += 2;
    if (this.#nextWant === this.#wants.length) [this.#wants, this.#nextWant] = [[], 0];
    return [file, page];
  }

  *#inOrder(): Generator<readonly [file: number, page: number], undefined> {
    for (const [file, pages] of this.#left) {
      for (let page = pages.indexOf(GOES); page !== -1; page = pages.indexOf(GOES, page))
        yield [file, page];
    }
    return undefined;
  }

  async #sendFrom(sender: PageSender, file: number, page: number): Promise<void> {
    const left = this.#left.get(file);
    let count = 0;
    while (count < BATCH && (left?.[page + count] ?? 0) > 0) count += 1;
    if (left === undefined || count === 0) return;
    left.fill(0, page, page + count);
    this.#leftPages -= count;
    const bytes = await readPages(pagesFile(this.#images, file), page, count);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(file, 0);
    head.writeUInt32LE(page, 4);
    if (this.#sender !== sender) return;
    this.#underWay += 1;
    const packs = this.#setup.compress === 'zstd';
    await sender.send(
      packs ? KINDS.latePacked : KINDS.late,
      Buffer.concat([head, packs ? zstdCompressSync(bytes) : bytes]),
    );
  }

  adjust(change: Pick<Partial<StreamSetup>, 'maxBandwidth' | 'maxDowntimeMs'>): void {
    this.#setup = { ...this.#setup, ...change };
    if (this.#sender !== undefined) this.#sender.bytesPerS = this.#setup.maxBandwidth;
  }

  sample(): MemorySample {
    const elapsed = Math.max(1, systemClock.monotonicMs() - this.#startedMs);
    const sent = this.#sentBefore + (this.#sender?.sentBytes ?? 0);
    const isDone = this.reported.stream === 'completed';
    return {
      totalBytes: Math.max(PAGE, sent + this.#leftPages * PAGE),
      // The last pages are in flight until the destination confirms all.
      remainingBytes: isDone ? 0 : Math.max(1, this.#leftPages) * PAGE,
      transferredBytes: sent,
      skippedBytes: 0,
      rate: Math.round((sent / elapsed) * 1000),
      dirtyRate: 0,
      round: 1,
      totalMs: Math.round(elapsed),
      pageRequests: this.#pageRequests,
    };
  }

  /** If recording fails, the destination confirms again over its next connection. */
  #endIfWhole(): void {
    if (!this.#isGiven || !this.#isWhole) return;
    this.#end().catch((error: unknown) => {
      [this.#isOver, this.#isWhole] = [false, false];
      this.#paused(toGodwitError(error).message);
    });
  }

  async #end(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { records, keptBytes } = this.#context;
    await records.change(this.#name, { leaving: 'sent' });
    this.#drop();
    this.reported.to('completed');
    const pages = { records: records.directory, name: this.#name, mostBytes: keptBytes };
    await keepPages(this.#images, pages).catch(() => undefined);
    await removeTree(this.#directory).catch(() => undefined);
  }

  #paused(reason: string): void {
    this.#drop();
    if (!this.#isOver && this.reported.stream.startsWith('postcopy'))
      this.reported.to('postcopy-paused', reason.slice(0, 1000));
  }

  #drop(): void {
    const sender = this.#sender;
    this.#sender = undefined;
    this.#sentBefore += sender?.sentBytes ?? 0;
    sender?.close();
    this.#wake?.();
  }

  /** Stops sending: the container runs here again, or has ended. */
  stop(): void {
    this.#isOver = true;
    this.#drop();
  }
}

function noteMissing(pages: Map<number, Uint8Array>, { body }: Frame): void {
  const [file, first] = [body.readUInt32LE(0), body.readUInt32LE(4)];
  const left = pages.get(file);
  for (let index = 0; index < (body.length - 8) * 8; index += 1) {
    if (((body[8 + (index >> 3)] ?? 0) & (1 << (index & 7))) === 0) continue;
    if (left === undefined || first + index >= left.length) throw new Error('a page of no file');
    left[first + index] = GOES;
  }
}

async function readPages(name: string, page: number, count: number): Promise<Buffer> {
  const handle = await open(name);
  try {
    const bytes = Buffer.alloc(count * PAGE);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, page * PAGE);
    if (bytesRead !== bytes.length) throw new Error(`${bytesRead} of ${bytes.length} bytes`);
    return bytes;
  } finally {
    await handle.close();
  }
}
