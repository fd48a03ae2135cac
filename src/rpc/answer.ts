import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { GodwitError } from '../errors.ts';
import { withDeadline } from '../deadline.ts';
import type { Route } from '../protocol/route.ts';
import type { RpcLimits } from './limits.ts';
import { Ready } from './ready-answer.ts';
import { LOOK_BYTES } from './send-queues.ts';
import { jsonLine } from '../formats/json.ts';

/** How what is not a stream goes out. Both wait until the kernel has it, or the reader has stalled for too long. */
export interface AnswerForm {
  send(response: ServerResponse, value: unknown, stallMs: number): Promise<void>;
  /** The error's own status and words. */
  refuse(response: ServerResponse, error: GodwitError, stallMs: number): Promise<void>;
}

/** JSON, and an error as `{"error": ...}`. */
export const plainForm: AnswerForm = {
  async send(response, value, stallMs) {
    await sendText(response, 200, value instanceof Ready ? value.bytes : bytesOf(value), stallMs);
  },
  async refuse(response, error, stallMs) {
    await sendText(response, error.http, bytesOf({ error }), stallMs);
  },
};

/** Of a request that is answered before its end: so much of its rest is read and dropped, for so long. */
const REST = { bytes: 1024 * 1024, ms: 1000 };

/**
 * Drops what is left of the request. Bytes that nobody reads reset the connection when it closes, and a sender that is
 * reset can lose its answer. One who sends more than REST has its connection closed with the answer all the same.
 */
async function dropRest({ req, socket }: ServerResponse): Promise<boolean> {
  if (req.complete || req.destroyed || socket === null) return req.complete;
  const over = Promise.withResolvers<undefined>();
  const end = (): void => over.resolve(undefined);
  let bytes = 0;
  const drop = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > REST.bytes) end();
  };
  req.on('data', drop).once('end', end);
  socket.once('close', end);
  try {
    await within(over.promise, REST.ms);
  } finally {
    req.off('data', drop).off('end', end);
    socket.off('close', end);
  }
  return req.complete;
}

export function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

async function sendText(
  response: ServerResponse,
  status: number,
  bytes: Buffer,
  stallMs: number,
): Promise<void> {
  const type = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  await sendBytes(response, { status, headers: type, bytes }, stallMs);
}

export interface Whole {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

/** Sends one answer and waits until the kernel has it, or the reader has stalled for too long. Drops what it has not read. */
export async function sendBytes(
  response: ServerResponse,
  { status, headers, bytes }: Whole,
  stallMs: number,
): Promise<void> {
  if (response.destroyed || response.headersSent) return;
  const isRead = await dropRest(response);
  // Meanwhile its sender may have left.
  if (response.destroyed || response.headersSent) return;
  if (!isRead) response.setHeader('connection', 'close');
  response.writeHead(status, { ...headers, 'content-length': bytes.length });
  await finish(response, stallMs, bytes);
}

/** How the objects of a stream are written. */
export interface Framing {
  readonly type: string;
  readonly heartbeat: string;
  one(value: unknown): string;
  failed(error: GodwitError): string;
}

const LINES: Framing = {
  type: 'application/x-ndjson',
  heartbeat: '\n',
  one: (value) => jsonLine(value),
  failed: (error) => jsonLine({ error }),
};

/** An event goes to many who follow: its text is made once. */
const texts = new WeakMap<object, string>();

/** Server-sent events. What is sent has an id that its schema holds to one line. */
const EVENTS: Framing = {
  type: 'text/event-stream',
  heartbeat: ':\n\n',
  one(value) {
    const event = value as { readonly id: string; readonly type?: string };
    const text = texts.get(event) ?? eventText(event);
    texts.set(event, text);
    return text;
  },
  failed: (error) => `event: error\ndata: ${JSON.stringify({ error })}\n\n`,
};

/** Whoever has lost some hears it as an event of its own: none of the others means anything then. */
function eventText(event: { readonly id: string; readonly type?: string }): string {
  const name = event.type === 'lost' ? 'event: reset\n' : '';
  return `${name}id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`;
}

export function framingOf({ framing }: Pick<Route, 'framing'>): Framing {
  return framing === 'events' ? EVENTS : LINES;
}

export interface StreamRules {
  readonly failed: (thrown: unknown) => GodwitError;
  /** Throws once the caller has lost the right to the stream; asked before each line and each heartbeat. */
  readonly mayStill: () => void | Promise<void>;
  /** Resolves once the kernel keeps little enough for the reader. Asked after each LOOK_BYTES; absent: nobody looks. */
  readonly room?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

/**
 * Sends one JSON object a line for as long as `lines` has some and the reader takes them. An error on the way becomes
 * a last line `{"error": ...}`, which `toError` makes. Leaves the iterable closed, however it ends.
 */
export async function sendLines(
  response: ServerResponse,
  lines: AsyncIterable<unknown>,
  limits: Pick<RpcLimits, 'stallMs' | 'heartbeatMs'>,
  { failed, mayStill, room }: StreamRules,
  framing: Framing = LINES,
): Promise<void> {
  const iterator = lines[Symbol.asyncIterator]();
  let next = iterator.next();
  let unlookedBytes = 0;
  try {
    for (;;) {
      const got = await within(next, limits.heartbeatMs);
      if (response.destroyed) return;
      await mayStill();
      // Nothing was sent yet: an error now still has a status of its own.
      if (!response.headersSent) {
        response.writeHead(200, {
          'content-type': framing.type,
          'cache-control': 'no-store',
        });
      }
      if (got === undefined) {
        await write(response, framing.heartbeat, limits.stallMs);
        continue;
      }
      if (got.done === true) break;
      const text = framing.one(got.value);
      await write(response, text, limits.stallMs);
      unlookedBytes += Buffer.byteLength(text);
      if (room !== undefined && unlookedBytes >= LOOK_BYTES) {
        unlookedBytes = 0;
        await taken(response, limits.stallMs, room);
      }
      next = iterator.next();
    }
    await finish(response, limits.stallMs);
  } catch (thrown) {
    if (!response.headersSent) throw thrown;
    if (!response.destroyed) {
      await finish(response, limits.stallMs, framing.failed(failed(thrown)));
    }
  } finally {
    // Not awaited: a generator that waits for something answers only when its signal has ended that.
    next.catch(() => {});
    void iterator.return?.().catch(() => {});
  }
}

/** The value, or undefined when it has not come within `ms`; the promise goes on. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function write(response: ServerResponse, text: string, stallMs: number): Promise<void> {
  if (response.write(text)) return;
  await taken(response, stallMs, (signal) => once(response, 'drain', { signal }));
}

async function finish(
  response: ServerResponse,
  stallMs: number,
  last?: string | Buffer,
): Promise<void> {
  response.end(last);
  if (response.writableFinished) return;
  await taken(response, stallMs, (signal) => once(response, 'finish', { signal }));
}

/** Waits for the reader; one that takes nothing for `stallMs`, or is gone, loses its connection. */
async function taken(
  response: ServerResponse,
  stallMs: number,
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  response.once('close', onClose);
  try {
    if (response.destroyed) return;
    await withDeadline('a reader', stallMs, gone.signal, work);
  } catch {
    response.destroy();
  } finally {
    response.off('close', onClose);
  }
}
