import { readdir, readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { defined } from '../../protocol/defined.ts';
import { bytesOf, sendBytes } from '../../rpc/answer.ts';
import { splitUrl } from '../../rpc/routes.ts';
import { godwitError } from '../../errors.ts';
import { etagOf, isAmong, takes } from './form.ts';
import { problemOf, PROBLEM_TYPE } from './problem.ts';
import { formatBytes } from '../../protocol/quantity.ts';

const INDEX = '/index.html';
const MAX_FILES = 1000;
const MAX_BYTES = 32 * 1024 * 1024;
const LOOK_MS = 1000;

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};
const DENSE: ReadonlySet<string> = new Set(['.png', '.woff2']);

type Encoding = 'br' | 'gzip';
const brotli = promisify(brotliCompress);
/** A larger file is compressed fast, because brotli's best level takes seconds for some MiB. */
const MAX_BEST_BYTES = 512 * 1024;
const COMPRESS: Readonly<Record<Encoding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: (bytes) => {
    const quality = bytes.length > MAX_BEST_BYTES ? 5 : constants.BROTLI_DEFAULT_QUALITY;
    return brotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } });
  },
  gzip: promisify(gzip),
};

interface ServedFile {
  readonly type: string;
  readonly etag: string;
  readonly bytes: Buffer;
  readonly encoded: Map<Encoding, Promise<Buffer>>;
  readonly isDense: boolean;
}

export interface Pages {
  readonly directory: string;
  /** `/docs`, or empty: everything that is not elsewhere. */
  readonly base: string;
  /** Paths without an extension show the index, for client-side routing. */
  readonly hasOwnPaths: boolean;
  readonly unbuilt: string;
}

export const dashboardPages = (directory: string): Pages => ({
  directory,
  base: '',
  hasOwnPaths: true,
  unbuilt: 'The pages of the dashboard are not built: `npm run web`.',
});

export const docsPages = (dashboard: string): Pages => ({
  directory: path.join(path.dirname(dashboard), 'site'),
  base: '/docs',
  hasOwnPaths: false,
  unbuilt: 'The pages of the documentation are not built: `npm run site`.',
});

/**
 * Files of the dashboard or the documentation in memory, keyed by URL path. Requests never become paths of this host.
 */
export class Files {
  readonly #pages: Pages;
  #files: Promise<ReadonlyMap<string, ServedFile>> = Promise.resolve(new Map());
  #mark = '';
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  get base(): string {
    return this.#pages.base;
  }

  async answer(request: IncomingMessage, response: ServerResponse, stallMs: number): Promise<void> {
    const { method = '', headers: asked } = request;
    const { path: place } = splitUrl(request.url);
    const { base, hasOwnPaths, unbuilt } = this.#pages;
    const files = await this.#now();
    const isRead = method === 'GET' || method === 'HEAD';
    const found = isRead ? fileAt(files, place.slice(base.length), hasOwnPaths) : undefined;
    if (found === undefined) {
      const error = godwitError(
        'GODWIT_ROUTE_UNKNOWN',
        { method: method.slice(0, 20), path: place.slice(0, 200) },
        files.size > 0 ? {} : { hint: unbuilt },
      );
      const headers = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' };
      const whole = { status: error.http, headers, bytes: bytesOf(problemOf(error)) };
      return sendBytes(response, whole, stallMs);
    }
    const { type, etag } = found;
    const { bytes, encoding } = await encodingFor(found, asked['accept-encoding']);
    const headers = {
      'content-type': type,
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
      etag,
      ...defined({ 'content-encoding': encoding }),
    };
    if (isAmong(asked['if-none-match'], etag))
      return sendBytes(response, { status: 304, headers, bytes: Buffer.alloc(0) }, stallMs);
    await sendBytes(response, { status: 200, headers, bytes }, stallMs);
  }

  /** A changed first page shows a new build. */
  async #now(): Promise<ReadonlyMap<string, ServedFile>> {
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs < LOOK_MS) return this.#files;
    this.#lookedMs = nowMs;
    const index = await stat(path.join(this.#pages.directory, INDEX)).catch(() => undefined);
    const mark = index === undefined ? '' : `${index.ino}-${index.mtimeMs}-${index.size}`;
    if (mark === this.#mark) return this.#files;
    this.#mark = mark;
    this.#files = mark === '' ? Promise.resolve(new Map()) : filesBelow(this.#pages.directory);
    // An incomplete build is read again.
    this.#files.catch(() => (this.#mark = ''));
    return this.#files;
  }
}

function fileAt(
  files: ReadonlyMap<string, ServedFile>,
  place: string,
  hasOwnPaths: boolean,
): ServedFile | undefined {
  const found = files.get(place) ?? files.get(place.replace(/\/?$/, INDEX));
  const isOwn = hasOwnPaths && path.posix.extname(place) === '';
  return found ?? (isOwn ? files.get(INDEX) : undefined);
}

async function filesBelow(directory: string): Promise<ReadonlyMap<string, ServedFile>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const found = new Map<string, ServedFile>();
  let size = 0;
  for (const entry of entries) {
    const extension = path.extname(entry.name);
    const type = TYPES[extension];
    // No links, which may lead elsewhere.
    if (!entry.isFile() || type === undefined) continue;
    const file = path.join(entry.parentPath, entry.name);
    const bytes = await readFile(file);
    size += bytes.length;
    if (size > MAX_BYTES || found.size >= MAX_FILES)
      throw godwitError('GODWIT_TOO_LARGE', { what: directory, limit: formatBytes(MAX_BYTES) });
    const place = `/${path.relative(directory, file).split(path.sep).join('/')}`;
    const isDense = DENSE.has(extension);
    found.set(place, { type, etag: etagOf(bytes), bytes, encoded: new Map(), isDense });
  }
  return found;
}

async function encodingFor(
  { bytes, encoded, isDense }: ServedFile,
  accepted: string | undefined,
): Promise<{ readonly bytes: Buffer; readonly encoding?: Encoding }> {
  const encoding = (['br', 'gzip'] as const).find((each) => takes(accepted, each));
  if (encoding === undefined || isDense) return { bytes };
  const made = encoded.get(encoding) ?? COMPRESS[encoding](bytes);
  encoded.set(encoding, made);
  const packed = await made;
  return packed.length < bytes.length ? { bytes: packed, encoding } : { bytes };
}
