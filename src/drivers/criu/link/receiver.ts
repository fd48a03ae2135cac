import { open, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import {
  doneBody,
  encodeFrame,
  fileHead,
  FrameReader,
  hello,
  KINDS,
  LATE,
  MAX_FRAME,
  write,
  type FileHead,
  type Frame,
} from './frames.ts';
import { KeptAnswers, type PageLookup } from '../pages/kept-answers.ts';
import { pagesNumber } from '../pages/lazy-pages.ts';
import { PAGE } from '../pages/memory.ts';
import { numbersOf } from '../pages/page-groups.ts';
import { cameFile } from '../pager/pages.ts';

const unpack = promisify(zstdDecompress);
const MAX_IMAGES = 4096;
/** Page numbers in one frame, as many as a frame of pages has bytes for. */
const MAX_REFS = MAX_FRAME / PAGE;

const ENDINGS = {
  root: '.tar',
  volume: '.tar',
  base: '.base.tar',
  changed: '.changed.tar',
  gone: '.gone',
} as const;

/** Receives pages and builds files in its directory. */
export class PageReceiver {
  readonly #directory: string;
  readonly #guest: string;
  readonly #mostBytes: number;
  /** Called with each tree whose first archive is complete. */
  readonly #onBase: (tree: string) => void;
  /** Opens kept pages; called once the source announces memory. */
  readonly #open: (() => Promise<PageLookup>) | undefined;
  #kept: PageLookup | undefined;
  #store: FileHandle | undefined;
  #file:
    | {
        readonly handle: FileHandle;
        readonly bytes: number;
        readonly base?: string;
        readonly image?: string;
        at: number;
        /** One byte per page; 0 for a page that follows later. */
        readonly came?: { readonly file: number; readonly pages: Uint8Array };
      }
    | undefined;
  #pages = 0;
  readonly #answers: KeptAnswers;
  #part: Buffer | undefined;
  #images = 0;
  #fileBytes = 0;
  readonly #trees = new Map<string, number>();
  #greeted = false;
  receivedBytes = 0;
  readonly digests = new Map<string, string>();
  isCold = false;
  /** Remaining pages follow on the same connection, starting with `rest`. */
  isLate = false;
  onImage: ((name: string) => void) | undefined;
  readonly reader = new FrameReader();
  rest: Frame[] = [];

  /** `mostBytes`: limit of all pages, and half the limit of the files built from them. */
  constructor(
    directory: string,
    guest: string,
    mostBytes: number,
    onBase: (tree: string) => void = () => {},
    kept?: () => Promise<PageLookup>,
  ) {
    this.#open = kept;
    this.#answers = new KeptAnswers({
      kept: () => this.#kept,
      next: (count) => this.#next(count),
      write: (pages, first) => this.#write(pages, first),
    });
    this.#onBase = onBase;
    this.#directory = directory;
    this.#guest = guest;
    this.#mostBytes = mostBytes;
  }

  /** Reads the stream until the source has sent everything. Throws for an invalid format. */
  async take(stream: Duplex): Promise<void> {
    this.#store = await open(path.join(this.#directory, 'pages.store'), 'w+', 0o600);
    try {
      // The stream stays open for the answer.
      for await (const bytes of stream.iterator({
        destroyOnReturn: false,
      }) as AsyncIterable<Buffer>) {
        this.receivedBytes += bytes.length;
        const frames = this.reader.push(bytes);
        for (const [index, frame] of frames.entries()) {
          if (frame.kind === KINDS.done) {
            await this.#endFile();
            const said = frame.body.length === 0 ? undefined : frame.body.toString();
            this.isLate = said !== undefined && doneBody.parse(JSON.parse(said)).late;
            this.rest = frames.slice(index + 1);
            return;
          }
          await this.#frame(frame, stream);
        }
      }
      throw new Error('the source closed the connection');
    } finally {
      await this.#file?.handle.close();
      await this.#store.close();
    }
  }

  async #frame({ kind, body }: Frame, stream: Duplex): Promise<void> {
    if (!this.#greeted) {
      const first = kind === KINDS.hello ? hello.parse(JSON.parse(body.toString())) : undefined;
      if (first?.guest !== this.#guest) throw new Error('it does not begin as a container does');
      this.#greeted = true;
      this.isCold = first.cold === true;
      if (!this.isCold) this.#kept = await this.#open?.();
      const kept = this.#kept?.size ?? 0;
      const said = { changes: true, groups: true, ...(kept === 0 ? {} : { kept: true }) };
      return write(stream, encodeFrame(KINDS.ready, Buffer.from(JSON.stringify(said))));
    }
    switch (kind) {
      case KINDS.pages:
        return this.#keep(body);
      case KINDS.packed:
        return this.#keep(await unpack(body, { maxOutputLength: MAX_FRAME }));
      case KINDS.ask:
        return this.#answers.pages(body, stream);
      case KINDS.askGroups:
        return this.#answers.groups(body, stream);
      case KINDS.file:
        return this.#begin(fileHead.parse(JSON.parse(body.toString())));
      case KINDS.refs:
        return this.#append(body);
      case KINDS.runs:
        return this.#append(numbersOf(body, LATE, MAX_REFS));
      default:
        throw new Error(`a frame of kind ${kind}`);
    }
  }

  async #keep(pages: Buffer): Promise<void> {
    if (pages.length % PAGE !== 0 || this.#answers.unasked.length > 0)
      throw new Error(`${pages.length} bytes of pages`);
    const lacking = Math.min(pages.length, this.#answers.lacking.length * PAGE);
    await this.#fill(pages.subarray(0, lacking));
    const rest = pages.subarray(lacking);
    await this.#write(rest, this.#pages);
    this.#pages += rest.length / PAGE;
  }

  #next(count: number): number[] {
    const first = this.#pages;
    this.#pages += count;
    return Array.from({ length: count }, (_, index) => first + index);
  }

  /** Places requested but not kept pages first, at their reserved numbers. */
  async #fill(pages: Buffer): Promise<void> {
    for (let at = 0; at < pages.length;) {
      const first = this.#answers.lacking.shift() ?? 0;
      let count = 1;
      while (this.#answers.lacking[0] === first + count && at + count * PAGE < pages.length) {
        this.#answers.lacking.shift();
        count += 1;
      }
      await this.#write(pages.subarray(at, at + count * PAGE), first);
      at += count * PAGE;
    }
  }

  async #write(pages: Buffer, first: number): Promise<void> {
    const at = first * PAGE;
    if (at + pages.length > this.#mostBytes)
      throw new Error(`more than ${this.#mostBytes} bytes of pages`);
    await whole(this.#store?.write(pages, 0, pages.length, at), pages.length);
  }

  async #begin({ name, bytes, what, digest }: FileHead): Promise<void> {
    await this.#endFile();
    this.#images += 1;
    if (this.#images > MAX_IMAGES) throw new Error(`more than ${MAX_IMAGES} files`);
    const file = what === 'image' ? path.join('images', name) : `${name}${ENDINGS[what]}`;
    // A complete tree is sent again during the freeze and replaces the first one.
    const before = what === 'image' ? 0 : (this.#trees.get(file) ?? 0);
    if (before > 0 && what === 'base') throw new Error(`${name} came twice`);
    this.#fileBytes += bytes - before;
    if (what !== 'image') this.#trees.set(file, bytes);
    if (this.#fileBytes > 2 * this.#mostBytes)
      throw new Error(`more than ${2 * this.#mostBytes} bytes of files`);
    if (digest !== undefined) this.digests.set(name, digest);
    const handle = await open(path.join(this.#directory, file), 'w', 0o600);
    const number = what === 'image' ? pagesNumber(name) : undefined;
    const pages = new Uint8Array(number === undefined ? 0 : Math.ceil(bytes / PAGE));
    const came = number === undefined ? {} : { came: { file: number, pages } };
    const whose = what === 'base' ? { base: name } : what === 'image' ? { image: name } : {};
    this.#file = { handle, bytes, at: 0, ...came, ...whose };
    await handle.truncate(bytes);
  }

  async #append(refs: Buffer): Promise<void> {
    const file = this.#file;
    if (file === undefined || refs.length % 4 !== 0) throw new Error('pages of no file');
    if (this.#answers.isOpen) throw new Error('pages that were asked for did not come');
    if (refs.length / 4 > MAX_REFS) throw new Error(`more than ${MAX_REFS} pages at once`);
    const part = (this.#part ??= Buffer.allocUnsafe(MAX_REFS * PAGE));
    let [length, isZero] = [0, true];
    for (let index = 0; index < refs.length;) {
      const first = refs.readUInt32LE(index);
      let count = 1;
      const follows = (): boolean => {
        const next = index + count * 4;
        if (next >= refs.length) return false;
        return refs.readUInt32LE(next) === (first >= LATE ? first : first + count);
      };
      while (follows()) count += 1;
      index += count * 4;
      const bytes = Math.min(count * PAGE, file.bytes - file.at);
      if (bytes <= (count - 1) * PAGE) throw new Error('more pages than the file has');
      if (first === LATE && file.came === undefined) throw new Error('a page that may not be late');
      if (first !== LATE) file.came?.pages.fill(1, file.at / PAGE, file.at / PAGE + count);
      if (first < LATE) {
        if (first + count > this.#pages)
          throw new Error(`page ${first + count - 1} was never sent`);
        await whole(this.#store?.read(part, length, bytes, first * PAGE), bytes);
        isZero = false;
      } else part.fill(0, length, length + bytes);
      length += bytes;
      file.at += bytes;
    }
    // Zero pages stay a hole.
    if (!isZero) await whole(file.handle.write(part, 0, length, file.at - length), length);
  }

  async #endFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.handle.close();
    if (file.at !== file.bytes) throw new Error('a file that is not whole');
    if (file.came !== undefined) {
      const map = cameFile(path.join(this.#directory, 'images'), file.came.file);
      await writeFile(map, file.came.pages, { mode: 0o600 });
    }
    if (file.base !== undefined) this.#onBase(file.base);
    if (file.image !== undefined) this.onImage?.(file.image);
  }
}

/** A short read or write would leave old memory contents in the rest of a page. */
async function whole(
  work: Promise<{ readonly bytesRead?: number; readonly bytesWritten?: number }> | undefined,
  bytes: number,
): Promise<void> {
  const done = await work;
  const moved = done?.bytesRead ?? done?.bytesWritten;
  if (moved !== bytes) throw new Error(`${moved} of ${bytes} bytes`);
}
