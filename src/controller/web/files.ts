import { readdir, readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import { defined } from '../../protocol/defined.ts';
import { bytesOf, sendBytes } from '../../rpc/answer.ts';
import { splitUrl } from '../../rpc/routes.ts';
import { godwitError } from '../../errors.ts';
import { etagOf, isAmong, takes } from './form.ts';
import { problemOf, PROBLEM_TYPE } from './problem.ts';
import { formatBytes } from '../../protocol/quantity.ts';

const INDEX = '/index.html';
/** Of a directory that is served. */
const MAX_FILES = 1000;
const MAX_BYTES = 32 * 1024 * 1024;
/** Whether there are new files is looked at so often. */
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
/** Those that are compressed already. */
const DENSE: ReadonlySet<string> = new Set(['.png', '.woff2']);

type Encoding = 'br' | 'gzip';
const COMPRESS: Readonly<Record<Encoding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: promisify(brotliCompress),
  gzip: promisify(gzip),
};

interface Served {
  readonly type: string;
  readonly etag: string;
  readonly bytes: Buffer;
  readonly encoded: ReadonlyMap<Encoding, Buffer>;
}

/**
 * The files of the dashboard, in memory by the paths under which they are served. A request finds one of them or none: no
 * path of this host is ever made of what it says.
 */
export class Files {
  readonly #directory: string;
  #files: Promise<ReadonlyMap<string, Served>> = Promise.resolve(new Map());
  #mark = '';
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async answer(request: IncomingMessage, response: ServerResponse, stallMs: number): Promise<void> {
    const { method = '', headers: asked } = request;
    const { path: place } = splitUrl(request.url);
    const files = await this.#now();
    const found = method === 'GET' || method === 'HEAD' ? fileAt(files, place) : undefined;
    if (found === undefined) {
      const error = godwitError(
        'GODWIT_ROUTE_UNKNOWN',
        { method: method.slice(0, 20), path: place.slice(0, 200) },
        files.size > 0 ? {} : { hint: 'The pages of the dashboard are not built: `npm run web`.' },
      );
      const headers = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' };
      const whole = { status: error.http, headers, bytes: bytesOf(problemOf(error)) };
      return sendBytes(response, whole, stallMs);
    }
    const { type, etag, encoded } = found;
    const encoding = (['br', 'gzip'] as const).find(
      (each) => encoded.has(each) && takes(asked['accept-encoding'], each),
    );
    const headers = {
      'content-type': type,
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
      etag,
      ...defined({ 'content-encoding': encoding }),
    };
    if (isAmong(asked['if-none-match'], etag))
      return sendBytes(response, { status: 304, headers, bytes: Buffer.alloc(0) }, stallMs);
    const bytes = (encoding && encoded.get(encoding)) ?? found.bytes;
    await sendBytes(response, { status: 200, headers, bytes }, stallMs);
  }

  /** A build that took the place of another is seen by its first page. */
  async #now(): Promise<ReadonlyMap<string, Served>> {
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs < LOOK_MS) return this.#files;
    this.#lookedMs = nowMs;
    const index = await stat(path.join(this.#directory, INDEX)).catch(() => undefined);
    const mark = index === undefined ? '' : `${index.ino}-${index.mtimeMs}-${index.size}`;
    if (mark === this.#mark) return this.#files;
    this.#mark = mark;
    this.#files = mark === '' ? Promise.resolve(new Map()) : filesBelow(this.#directory);
    // A build that is half there is read again.
    this.#files.catch(() => (this.#mark = ''));
    return this.#files;
  }
}

/** What lies under a path; a path without an extension is one of the pages' own. */
function fileAt(files: ReadonlyMap<string, Served>, place: string): Served | undefined {
  return files.get(place) ?? (path.posix.extname(place) === '' ? files.get(INDEX) : undefined);
}

async function filesBelow(directory: string): Promise<ReadonlyMap<string, Served>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const found = new Map<string, Served>();
  let size = 0;
  for (const entry of entries) {
    const extension = path.extname(entry.name);
    const type = TYPES[extension];
    // No links: they lead elsewhere.
    if (!entry.isFile() || type === undefined) continue;
    const file = path.join(entry.parentPath, entry.name);
    const bytes = await readFile(file);
    size += bytes.length;
    if (size > MAX_BYTES || found.size >= MAX_FILES)
      throw godwitError('GODWIT_TOO_LARGE', { what: directory, limit: formatBytes(MAX_BYTES) });
    const place = `/${path.relative(directory, file).split(path.sep).join('/')}`;
    const encoded = DENSE.has(extension) ? new Map() : await encodingsOf(bytes);
    found.set(place, { type, etag: etagOf(bytes), bytes, encoded });
  }
  return found;
}

async function encodingsOf(bytes: Buffer): Promise<Map<Encoding, Buffer>> {
  const encoded = new Map<Encoding, Buffer>();
  for (const [name, compress] of Object.entries(COMPRESS) as [
    Encoding,
    (typeof COMPRESS)['br'],
  ][]) {
    const made = await compress(bytes);
    if (made.length < bytes.length) encoded.set(name, made);
  }
  return encoded;
}
