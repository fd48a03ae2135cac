import { open } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import { systemClock } from '../../../clock.ts';
import {
  DIGEST_BYTES,
  encodeFrame,
  failure,
  FrameReader,
  KINDS,
  LATE,
  ready,
  write,
  ZERO,
  type FileKind,
  type Frame,
  type Kind,
  GROUP,
  MAX_ASKED,
} from './frames.ts';
import { PAGE } from '../pages/memory.ts';
import { digestPage } from '../pages/page-digests.ts';
import { runsOf, groupQuestion, groupsIn, hasBit } from '../pages/page-groups.ts';
import { PageNumbers } from '../pages/page-numbers.ts';

const BATCH = 256;
/** Time after which a silent destination counts as lost, ms. */
const SILENT_MS = 180_000;
const NEVER = new AbortController().signal;

interface FileOptions {
  readonly digest?: string;
  readonly late?: Uint8Array | undefined;
  readonly digests?: ((part: Buffer) => void) | undefined;
}

/** Sends pages that the peer lacks, and files as lists of pages that it has. */
export class PageSender {
  readonly #stream: Duplex;
  readonly #packs: boolean;
  readonly #numbers = new PageNumbers();
  readonly #reader = new FrameReader();
  readonly #waiting = new Map<number, () => void>();
  readonly #broken = Promise.withResolvers<never>();
  readonly #batch = Buffer.allocUnsafe(BATCH * PAGE);
  #batched = 0;
  readonly #digest = Buffer.alloc(DIGEST_BYTES);
  #paidMs = 0;
  bytesPerS: number | undefined;
  sentBytes = 0;
  takesChanges = false;
  /** It has kept pages and can be asked for them. */
  #asks = false;
  /** It can be asked for groups, and accepts runs. */
  #groups = false;
  #asked: AskedPages | undefined;
  #spare: AskedPages | undefined;
  /** Settles once the last question is answered and the missing pages are being sent. */
  #answered: Promise<void> = Promise.resolve();
  #answer = Buffer.alloc(0);
  knownPages = 0;
  newPages = 0;
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

  /** Rejects once sending is impossible. */
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
          this.#groups = said.groups === true;
        }
        if (kind === KINDS.have || kind === KINDS.haveGroups) this.#answer = Buffer.from(body);
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

  /** Waits up to `silentMs` for the peer's message; rejects at once if the signal has aborted. */
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

  /** Sends those of these pages that the peer lacks; returns their numbers. `digests`: receives the digests. */
  async pages(bytes: Buffer, digests?: Buffer): Promise<number[]> {
    await this.#settleAsked();
    const into = digests ?? this.#digest;
    const numbers: number[] = [];
    for (let at = 0; at < bytes.length; at += PAGE) {
      const place = digests === undefined ? 0 : at / PAGE;
      const isZero = !digestPage(bytes, at, into, place);
      const known = isZero ? ZERO : this.#numbers.get(into, place * DIGEST_BYTES);
      if (known !== undefined) {
        this.knownPages += 1;
        numbers.push(known);
        continue;
      }
      numbers.push(this.#number(into, place));
      await this.#add(bytes.subarray(at, at + PAGE));
    }
    return numbers;
  }

  #number(digests: Buffer, place: number): number {
    if (this.#numbers.size >= LATE) throw new Error('more pages than there are numbers for');
    return this.#numbers.add(digests, place * DIGEST_BYTES);
  }

  async #add(page: Buffer): Promise<void> {
    this.newPages += 1;
    page.copy(this.#batch, this.#batched * PAGE);
    this.#batched += 1;
    if (this.#batched === BATCH) await this.flush();
  }

  /** Makes pages known to the peer; if it has kept pages, only missing ones are sent. */
  async learn(bytes: Buffer): Promise<void> {
    if (!this.#asks) return void (await this.pages(bytes));
    for (let at = 0; at < bytes.length; at += PAGE) {
      const asked = (this.#asked ??= new AskedPages());
      const isZero = !digestPage(bytes, at, asked.digests, asked.count);
      if (isZero || this.#numbers.get(asked.digests, asked.count * DIGEST_BYTES) !== undefined) {
        this.knownPages += 1;
        continue;
      }
      this.#number(asked.digests, asked.count);
      asked.take(bytes, at);
      if (asked.isFull) await this.#ask(asked);
    }
  }

  /** Resolves once everything to learn is being sent. */
  async learned(): Promise<void> {
    await this.#settleAsked();
    await this.flush();
  }

  async #settleAsked(): Promise<void> {
    if (this.#asked !== undefined && this.#asked.count > 0) await this.#ask(this.#asked);
    await this.#answered;
  }

  /**
   * Only one question is open; later pages are hashed meanwhile. The peer numbers all pages in the order of the
   * question, and the missing ones follow before any other page.
   */
  async #ask(asked: AskedPages): Promise<void> {
    await this.#answered;
    await this.flush();
    this.#asked = this.#spare;
    this.#spare = undefined;
    this.#answered = this.#give(asked);
    this.#answered.catch(() => {});
  }

  async #give(asked: AskedPages): Promise<void> {
    const lacking = await asked.lacking(this.#groups, (...question) => this.#answerTo(...question));
    this.knownPages += asked.count - lacking.length;
    for (const index of lacking) await this.#add(asked.page(index));
    await this.flush();
    asked.count = 0;
    this.#spare = asked;
  }

  async #answerTo(kind: Kind, question: Buffer, count: number): Promise<Buffer> {
    const answered = this.heard(kind === KINDS.ask ? KINDS.have : KINDS.haveGroups, NEVER);
    answered.catch(() => {});
    await this.send(kind, question);
    await answered;
    if (this.#answer.length !== Math.ceil(count / 8)) throw new Error('an answer to nothing asked');
    return this.#answer;
  }

  async flush(): Promise<void> {
    if (this.#batched === 0) return;
    const pages = this.#batch.subarray(0, this.#batched * PAGE);
    this.#batched = 0;
    if (this.#packs) await this.send(KINDS.packed, zstdCompressSync(pages));
    else await this.send(KINDS.pages, pages);
  }

  /**
   * Sends a file; each page that was already sent costs four bytes. `late`: 1 for each page that may follow
   * later; set to 0 for pages that need not. `digests`: gets the digests of each part.
   */
  async file(
    name: string,
    what: FileKind,
    file: string,
    { digest, late, digests }: FileOptions = {},
  ): Promise<void> {
    const handle = await open(file);
    try {
      const { size } = await handle.stat();
      const more = digest === undefined ? {} : { digest };
      await this.send(KINDS.file, { name, bytes: size, what, ...more });
      const part = Buffer.alloc(BATCH * PAGE);
      const table = Buffer.alloc(BATCH * DIGEST_BYTES);
      for (let at = 0; at < size; at += part.length) {
        const { bytesRead } = await handle.read(part, 0, part.length, at);
        const whole = Math.ceil(bytesRead / PAGE) * PAGE;
        part.fill(0, bytesRead, whole);
        const pages = part.subarray(0, whole);
        const numbers = await (late === undefined
          ? this.pages(pages, table)
          : this.#numbered(pages, late.subarray(at / PAGE)));
        await this.flush();
        if (late === undefined) digests?.(table.subarray(0, (whole / PAGE) * DIGEST_BYTES));
        const refs = Buffer.from(Uint32Array.from(numbers).buffer);
        const runs = this.#groups ? runsOf(numbers, LATE) : refs;
        await (runs.length < refs.length
          ? this.send(KINDS.runs, runs)
          : this.send(KINDS.refs, refs));
      }
    } finally {
      await handle.close();
    }
  }

  /** Sends none of the pages that may follow later; those that the destination has are not needed at all. */
  async #numbered(pages: Buffer, late: Uint8Array): Promise<number[]> {
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
    return digestPage(page, 0, this.#digest, 0) ? this.#numbers.get(this.#digest) : ZERO;
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

/** Reusable list of pages for a question, with their digests. */
class AskedPages {
  /** One place more, for the digest of the examined page. */
  readonly digests = Buffer.alloc((MAX_ASKED + 1) * DIGEST_BYTES);
  readonly #pages = Buffer.allocUnsafe(MAX_ASKED * PAGE);
  count = 0;

  get isFull(): boolean {
    return this.count === MAX_ASKED;
  }

  /** Copies the page at `from`, whose digest is already in the next place. */
  take(pages: Buffer, from: number): void {
    pages.copy(this.#pages, this.count * PAGE, from, from + PAGE);
    this.count += 1;
  }

  page(index: number): Buffer {
    return this.#pages.subarray(index * PAGE, (index + 1) * PAGE);
  }

  /** Pages that the peer lacks, by its answers. It is asked for groups first if it supports that. */
  async lacking(
    byGroups: boolean,
    ask: (kind: Kind, question: Buffer, count: number) => Promise<Buffer>,
  ): Promise<number[]> {
    let left = Array.from({ length: this.count }, (_, index) => index);
    if (byGroups) {
      const question = groupQuestion(this.#question(left));
      const groups = await ask(KINDS.askGroups, question, groupsIn(this.count));
      left = left.filter((index) => !hasBit(groups, Math.floor(index / GROUP)));
    }
    if (left.length === 0) return left;
    const pages = await ask(KINDS.ask, this.#question(left), left.length);
    return left.filter((_, at) => !hasBit(pages, at));
  }

  /** Copy of these digests, because it is sent while the next ones are computed. */
  #question(indices: readonly number[]): Buffer {
    const question = Buffer.alloc(indices.length * DIGEST_BYTES);
    for (const [at, index] of indices.entries()) {
      const from = index * DIGEST_BYTES;
      this.digests.copy(question, at * DIGEST_BYTES, from, from + DIGEST_BYTES);
    }
    return question;
  }
}
