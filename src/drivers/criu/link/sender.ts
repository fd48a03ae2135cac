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

/** Pages of one frame. */
const BATCH = 256;
/** A destination that says nothing for so long is taken for lost, ms. */
const SILENT_MS = 180_000;
const NEVER = new AbortController().signal;

interface FileOptions {
  readonly digest?: string;
  readonly late?: Uint8Array | undefined;
  readonly digests?: ((part: Buffer) => void) | undefined;
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
  /** Pages that are sent together, and how many there are by now. */
  readonly #batch = Buffer.allocUnsafe(BATCH * PAGE);
  #batched = 0;
  readonly #digest = Buffer.alloc(DIGEST_BYTES);
  #paidMs = 0;
  bytesPerS: number | undefined;
  sentBytes = 0;
  /** The destination has said that a tree may come in parts. */
  takesChanges = false;
  /** It has pages of earlier, and may be asked for them. */
  #asks = false;
  /** It may be asked for groups, and takes runs. */
  #groups = false;
  #asked: AskedPages | undefined;
  #spare: AskedPages | undefined;
  /** Settles once what was asked last is answered, and what the destination lacks of it is on its way. */
  #answered: Promise<void> = Promise.resolve();
  #answer = Buffer.alloc(0);
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

  /** Sends those of these pages that the other end lacks; the number of each. `digests`: gets theirs. */
  async pages(bytes: Buffer, digests?: Buffer): Promise<number[]> {
    // Their numbers come after those of what was asked for.
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

  /** Makes pages known at the other end; where it has kept pages, those that it lacks alone are sent. */
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

  /** Until all that was to be learned is on its way. */
  async learned(): Promise<void> {
    await this.#settleAsked();
    await this.flush();
  }

  async #settleAsked(): Promise<void> {
    if (this.#asked !== undefined && this.#asked.count > 0) await this.#ask(this.#asked);
    await this.#answered;
  }

  /**
   * One question is open at a time: what comes after it is hashed meanwhile. The other end numbers all of them in the order in
   * which it is asked; those that it lacks follow at once, before any other page.
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

  /** A bit for each of so many. */
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
   * Sends a file; what it has in common with pages that were sent costs four bytes a page. `late`: 1 for each page that may
   * come later; 0 afterwards for each that need not. `digests`: told those of each part.
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

  /** Sends none of those that may come later; what the destination has of them need not come at all. */
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

/** Pages of which the other end is to say whether it has them, and their digests. Used again for the next ones. */
class AskedPages {
  /** The place after the last one is for the digest of the page that is looked at. */
  readonly digests = Buffer.alloc((MAX_ASKED + 1) * DIGEST_BYTES);
  readonly #pages = Buffer.allocUnsafe(MAX_ASKED * PAGE);
  count = 0;

  get isFull(): boolean {
    return this.count === MAX_ASKED;
  }

  /** Copies the page at `from`, whose digest is at the next place already. */
  take(pages: Buffer, from: number): void {
    pages.copy(this.#pages, this.count * PAGE, from, from + PAGE);
    this.count += 1;
  }

  page(index: number): Buffer {
    return this.#pages.subarray(index * PAGE, (index + 1) * PAGE);
  }

  /** Which of them the other end lacks, by its answers: where it takes such a question, it is asked for groups first. */
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

  /** The digests of these; a copy, since it is sent while the next ones are looked at. */
  #question(indices: readonly number[]): Buffer {
    const question = Buffer.alloc(indices.length * DIGEST_BYTES);
    for (const [at, index] of indices.entries()) {
      const from = index * DIGEST_BYTES;
      this.digests.copy(question, at * DIGEST_BYTES, from, from + DIGEST_BYTES);
    }
    return question;
  }
}
