import { hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import { systemClock } from '../../clock.ts';
import {
  encodeFrame,
  failure,
  FrameReader,
  KINDS,
  LATE,
  MOST_ASKED,
  ready,
  write,
  ZERO,
} from './frames.ts';
import type { FileKind, Frame, Kind } from './frames.ts';
import { PAGE } from './memory.ts';
import { PageNumbers } from './page-numbers.ts';

/** Pages of one frame. */
const BATCH = 256;
/** A destination that says nothing for so long is taken for lost, ms. */
const SILENT_MS = 180_000;
const NO_PAGE = Buffer.alloc(PAGE);

interface Asked {
  readonly digest: Buffer;
  readonly page: Buffer;
}

/** Sends pages that the other end lacks, and files as lists of pages that it has. */
export class PageSender {
  readonly #stream: Duplex;
  readonly #packs: boolean;
  /** Of pages that are at the other end. */
  readonly #numbers = new PageNumbers();
  readonly #reader = new FrameReader();
  readonly #waiting = new Map<number, () => void>();
  readonly #broken = Promise.withResolvers<never>();
  #batch: Buffer[] = [];
  #paidMs = 0;
  bytesPerS: number | undefined;
  sentBytes = 0;
  /** The destination has said that a tree may come in parts. */
  takesChanges = false;
  /** It has pages of earlier, and may be asked for them. */
  #asks = false;
  #asked: Asked[] = [];
  /** Settles once what was asked last is answered, and what the destination lacks of it is on its way. */
  #answered: Promise<void> = Promise.resolve();
  #isAsked = new Set<string>();
  #answer: ((bits: Buffer) => void) | undefined;
  /** Pages looked at that needed no sending. */
  knownPages = 0;
  newPages = 0;
  /** Told of what the destination says of its own accord. */
  onFrame: ((frame: Frame) => void) | undefined;

  constructor(stream: Duplex, packs: boolean) {
    this.#stream = stream;
    this.#packs = packs;
    this.#broken.promise.catch(() => {});
    stream.on('data', (bytes: Buffer) => this.#hear(bytes));
    stream.on('error', (error) => this.#broken.reject(error));
    stream.on('close', () =>
      this.#broken.reject(new Error('the destination closed the connection')),
    );
  }

  /** Rejects once nothing more can be sent. */
  get broken(): Promise<never> {
    return this.#broken.promise;
  }

  #hear(bytes: Buffer): void {
    try {
      for (const { kind, body } of this.#reader.push(bytes)) {
        if (kind === KINDS.failed) {
          const said = failure.safeParse(JSON.parse(body.toString()));
          this.#broken.reject(new Error(said.data?.reason ?? 'the destination gave up'));
          return;
        }
        if (kind === KINDS.ready && body.length > 0) {
          const said = ready.parse(JSON.parse(body.toString()));
          this.takesChanges = said.changes === true;
          this.#asks = said.kept === true;
        }
        if (kind === KINDS.have) this.#answer?.(body);
        this.#waiting.get(kind)?.();
        this.onFrame?.({ kind, body });
      }
    } catch (error) {
      this.#broken.reject(error);
    }
  }

  async send(kind: Kind, body?: object | Buffer): Promise<void> {
    const bytes =
      body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const frame = encodeFrame(kind, bytes);
    this.sentBytes += frame.length;
    await Promise.race([write(this.#stream, frame), this.#broken.promise]);
    await this.#pay(frame.length);
  }

  /** Waits until the other end has said so, so many ms at most; rejects at once where the signal came before. */
  async heard(kind: Kind, signal: AbortSignal, silentMs = SILENT_MS): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.set(kind, resolve);
    const timer = setTimeout(() => reject(new Error('the destination is silent')), silentMs);
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([promise, this.#broken.promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Sends those of these pages that the other end lacks; the number of each. */
  async pages(bytes: Buffer): Promise<number[]> {
    const numbers: number[] = [];
    for (let at = 0; at < bytes.length; at += PAGE) {
      const page = bytes.subarray(at, at + PAGE);
      const isZero = page.equals(NO_PAGE);
      const digest = isZero ? undefined : hash('sha256', page, 'buffer');
      const known = digest === undefined ? ZERO : this.#numbers.get(digest);
      if (digest === undefined || known !== undefined) {
        this.knownPages += 1;
        numbers.push(known ?? ZERO);
        continue;
      }
      if (this.#numbers.size >= LATE) throw new Error('more pages than there are numbers for');
      this.newPages += 1;
      numbers.push(this.#numbers.add(digest));
      this.#batch.push(Buffer.from(page));
      if (this.#batch.length >= BATCH) await this.flush();
    }
    return numbers;
  }

  /** Makes those of the pages known that changed since they were known. */
  async learnAll(changed: readonly Buffer[], pages: Buffer): Promise<void> {
    const bytes = changed.reduce((sum, each) => sum + each.length, 0);
    this.knownPages += (pages.length - bytes) / PAGE;
    for (const each of changed) await this.learn(each);
  }

  /** Makes pages known at the other end; where it has kept pages, those that it lacks alone are sent. */
  async learn(bytes: Buffer): Promise<void> {
    if (!this.#asks) return void (await this.pages(bytes));
    for (let at = 0; at < bytes.length; at += PAGE) {
      const page = bytes.subarray(at, at + PAGE);
      const digest = page.equals(NO_PAGE) ? undefined : hash('sha256', page, 'buffer');
      const key = digest?.toString('latin1') ?? '';
      if (
        digest === undefined ||
        this.#numbers.get(digest) !== undefined ||
        this.#isAsked.has(key)
      ) {
        this.knownPages += 1;
        continue;
      }
      this.#isAsked.add(key);
      // A part of a buffer would keep all of it in memory for as long as the page waits.
      this.#asked.push({ digest, page: Buffer.from(page) });
      if (this.#asked.length >= MOST_ASKED) await this.#ask();
    }
  }

  /** Until all that was to be learned is on its way. */
  async learned(): Promise<void> {
    if (this.#asked.length > 0) await this.#ask();
    await this.#answered;
    await this.flush();
  }

  /**
   * One question is open at a time: what comes after it is hashed meanwhile. The other end numbers all of them in the order in
   * which it is asked; those that it lacks follow at once, before any other page.
   */
  async #ask(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    this.#isAsked = new Set();
    await this.#answered;
    await this.flush();
    for (const { digest } of asked) {
      if (this.#numbers.size >= LATE) throw new Error('more pages than there are numbers for');
      this.#numbers.add(digest);
    }
    this.#answered = this.#give(asked);
    this.#answered.catch(() => {});
  }

  async #give(asked: readonly Asked[]): Promise<void> {
    const bits = await this.#answerTo(asked.map(({ digest }) => digest));
    if (bits.length !== Math.ceil(asked.length / 8)) throw new Error('an answer to nothing asked');
    const isThere = (index: number): boolean =>
      ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
    for (const [index, { page }] of asked.entries()) {
      if (isThere(index)) {
        this.knownPages += 1;
        continue;
      }
      this.newPages += 1;
      this.#batch.push(page);
      if (this.#batch.length >= BATCH) await this.flush();
    }
    await this.flush();
  }

  async #answerTo(digests: readonly Buffer[]): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#answer = resolve;
    const silent = (): void => reject(new Error('the destination is silent'));
    const timer = setTimeout(silent, SILENT_MS);
    try {
      await this.send(KINDS.ask, Buffer.concat(digests));
      return await Promise.race([promise, this.#broken.promise]);
    } finally {
      clearTimeout(timer);
      this.#answer = undefined;
    }
  }

  async flush(): Promise<void> {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    const pages = Buffer.concat(batch);
    if (this.#packs) await this.send(KINDS.packed, zstdCompressSync(pages));
    else await this.send(KINDS.pages, pages);
  }

  /**
   * Sends a file; what it has in common with pages that were sent costs four bytes a page. `late`: 1 for each page that may
   * come later; 0 afterwards for each that need not.
   */
  async file(
    name: string,
    what: FileKind,
    file: string,
    { digest, late }: { readonly digest?: string; readonly late?: Uint8Array | undefined } = {},
  ): Promise<void> {
    const handle = await open(file);
    try {
      const { size } = await handle.stat();
      const more = digest === undefined ? {} : { digest };
      await this.send(KINDS.file, { name, bytes: size, what, ...more });
      const part = Buffer.alloc(BATCH * PAGE);
      for (let at = 0; at < size; at += part.length) {
        const { bytesRead } = await handle.read(part, 0, part.length, at);
        const whole = Math.ceil(bytesRead / PAGE) * PAGE;
        part.fill(0, bytesRead, whole);
        const numbers = await this.#numbered(part.subarray(0, whole), late?.subarray(at / PAGE));
        await this.flush();
        const refs = Buffer.alloc(numbers.length * 4);
        for (const [index, number] of numbers.entries()) refs.writeUInt32LE(number, index * 4);
        await this.send(KINDS.refs, refs);
      }
    } finally {
      await handle.close();
    }
  }

  /** Sends none of those that may come later; what the destination has of them need not come at all. */
  async #numbered(pages: Buffer, late: Uint8Array | undefined): Promise<number[]> {
    if (late === undefined) return this.pages(pages);
    const numbers: number[] = [];
    for (let at = 0; at < pages.length; at += PAGE) {
      const page = pages.subarray(at, at + PAGE);
      const isLate = late[at / PAGE] === 1;
      const number = (isLate ? this.#known(page) : (await this.pages(page))[0]) ?? LATE;
      if (number !== LATE) late[at / PAGE] = 0;
      numbers.push(number);
    }
    return numbers;
  }

  #known(page: Buffer): number | undefined {
    if (page.equals(NO_PAGE)) return ZERO;
    return this.#numbers.size === 0 ? undefined : this.#numbers.get(hash('sha256', page, 'buffer'));
  }

  async #pay(bytes: number): Promise<void> {
    if (this.bytesPerS === undefined) return;
    const now = systemClock.monotonicMs();
    this.#paidMs = Math.max(this.#paidMs, now) + (bytes / this.bytesPerS) * 1000;
    const ahead = this.#paidMs - now;
    if (ahead > 5) await Promise.race([systemClock.sleep(ahead), this.#broken.promise]);
  }

  close(): void {
    this.#stream.destroy();
  }
}
