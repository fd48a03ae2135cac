import type { ClientRequest, IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { withDeadline } from '../deadline.ts';
import { godwitError, hasCode, type GodwitError } from '../errors.ts';
import {
  DEFAULT_BYTES,
  isAmongParts,
  LIST_BYTES,
  type CallInput,
  type Contract,
  type Route,
  type RouteOutput,
} from '../protocol/route.ts';
import type { Hello } from '../protocol/hello.ts';
import { errorBody, fromSerial, problemBody, whatIsWrong } from '../protocol/errors.ts';
import { PROTOCOL_HEADER, selectVersion } from '../protocol/version.ts';
import { networkFailure, openPool, type Transport, type HttpPool } from './transport.ts';
import { boundedJsonOf } from './bounded-json.ts';
import { formatBytes } from '../formats/quantity.ts';

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** To the end of the answer; for a stream to its beginning. ms. */
  readonly deadlineMs?: number;
  /** What several answers may have together, in bytes: each takes its own from it. GODWIT_TOO_LARGE beyond. */
  readonly allowance?: { bytes: number };
  /** Of a stream: see LineReading. */
  readonly pace?: LineReading['pace'];
}

type CallArguments<R extends Route> =
  Partial<CallInput<R>> extends CallInput<R>
    ? [input?: CallInput<R>, options?: CallOptions]
    : [input: CallInput<R>, options?: CallOptions];

/** A contract as functions. They reject with the error that the server sent, or one that says why it cannot be had. */
export type Api<C extends Contract> = {
  readonly [K in keyof C]: C[K]['stream'] extends true
    ? (...given: CallArguments<C[K]>) => AsyncIterable<RouteOutput<C[K]>>
    : (...given: CallArguments<C[K]>) => Promise<RouteOutput<C[K]>>;
};

export interface Client<C extends Contract> {
  readonly api: Api<C>;
  /** Opens `count` connections at once and leaves them open, so that a later call finds one that is free. */
  readonly warm: (count: number, options?: CallOptions) => Promise<void>;
  /** Closes the connections; calls under way fail. */
  readonly close: () => void;
}

export interface ClientOptions {
  /** Default deadline of a call, ms. */
  readonly deadlineMs?: number;
  /** The longest answer that is taken, bytes: less than what a route allows. */
  readonly answerBytes?: number;
  /** A stream that is silent for so long, without even a heartbeat, has failed; ms. */
  readonly streamIdleMs?: number;
}

const DEFAULTS = { deadlineMs: 10_000, answerBytes: LIST_BYTES, streamIdleMs: 30_000 };

interface Calling {
  readonly wire: HttpPool;
  readonly limits: Required<ClientOptions>;
  readonly contract: Contract;
  /** The version selected with this peer; asked for with `hello` before the first host-to-host call. */
  version: Promise<number> | undefined;
}

interface AnyInput {
  readonly params?: Record<string, string | undefined>;
  readonly query?: Record<string, string | number | undefined>;
  readonly body?: unknown;
}

/** A typed client of `contract`. Connections are opened when needed and kept. */
export function client<C extends Contract>(
  contract: C,
  transport: Transport,
  options: ClientOptions = {},
): Client<C> {
  const calling: Calling = {
    wire: openPool(transport),
    limits: { ...DEFAULTS, ...options },
    contract,
    version: undefined,
  };
  const api: Record<string, unknown> = {};
  for (const [key, route] of Object.entries(contract)) {
    api[key] = route.stream
      ? (input: AnyInput = {}, given: CallOptions = {}) => stream(calling, route, input, given)
      : (input: AnyInput = {}, given: CallOptions = {}) => call(calling, route, input, given);
  }
  const hello = contract['hello'];
  return {
    api: api as unknown as Api<C>,
    warm: async (count, given = {}) => {
      if (hello === undefined) return;
      await Promise.all(Array.from({ length: count }, () => call(calling, hello, {}, given)));
    },
    close: () => calling.wire.close(),
  };
}

async function call(
  calling: Calling,
  route: Route,
  input: AnyInput,
  given: CallOptions,
): Promise<unknown> {
  const { wire, limits } = calling;
  const what = `${route.method} ${route.path} of ${wire.peer}`;
  return withDeadline(what, given.deadlineMs ?? limits.deadlineMs, given.signal, async (signal) => {
    const response = await send(calling, route, input, signal);
    const { allowance } = given;
    const most = answerLimit(route, limits);
    const limit = Math.min(most, allowance?.bytes ?? most);
    return parse(wire, route, await readAll(response, limit, wire, allowance), most);
  });
}

async function* stream(
  calling: Calling,
  route: Route,
  input: AnyInput,
  given: CallOptions,
): AsyncGenerator<unknown, void, undefined> {
  const { wire, limits } = calling;
  const over = new AbortController();
  const signal =
    given.signal === undefined ? over.signal : AbortSignal.any([given.signal, over.signal]);
  const what = `${route.method} ${route.path} of ${wire.peer}`;
  const deadlineMs = given.deadlineMs ?? limits.deadlineMs;
  try {
    // The request lives longer than the wait for its beginning, so it listens to `signal` alone.
    const response = await withDeadline(what, deadlineMs, given.signal, () =>
      send(calling, route, input, signal),
    );
    const most = answerLimit(route, limits);
    const reading = { idleMs: limits.streamIdleMs, pace: given.pace, lineBytes: most };
    for await (const line of readLines(response, reading, wire)) {
      const text = route.framing === 'events' ? dataIn(line) : line;
      if (text !== undefined) yield parse(wire, route, text, most);
    }
  } catch (thrown) {
    given.signal?.throwIfAborted();
    throw thrown;
  } finally {
    over.abort();
  }
}

/** The data of a server-sent event; undefined for its other lines. */
function dataIn(line: string): string | undefined {
  return line.startsWith('data: ') ? line.slice('data: '.length) : undefined;
}

/** Sends a request; resolves once the headers of an answer of success are there. */
async function send(
  calling: Calling,
  route: Route,
  input: AnyInput,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { wire } = calling;
  const headers: Record<string, string | number> = {};
  if (isAmongParts(route.access)) {
    headers[PROTOCOL_HEADER] = await selected(calling);
  }
  const response = await exchange(wire, route, input, headers, signal);
  if (response.statusCode === 200) return response;
  const text = await readAll(response, DEFAULT_BYTES, wire);
  const refused = refusal(text, response.statusCode ?? 0, wire);
  // The peer may have been changed for another version: ask again before the next call.
  if (hasCode(refused, 'GODWIT_PROTOCOL_VERSION')) calling.version = undefined;
  throw refused;
}

async function exchange(
  wire: HttpPool,
  route: Route,
  input: AnyInput,
  given: Readonly<Record<string, string | number>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const path = fillPath(route, input);
  const body = route.body === undefined ? undefined : JSON.stringify(input.body ?? null);
  const headers: Record<string, string | number> = { ...given };
  if (body !== undefined) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = Buffer.byteLength(body);
  } else if (route.method === 'POST') {
    headers['content-length'] = 0;
  }
  // A kept connection may close at the very moment in which it is used again. What may be repeated is.
  const repeatable =
    route.method === 'GET' ||
    route.method === 'PUT' ||
    isAmongParts(route.access) ||
    route.access === 'local';
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted();
    const request = wire.request({ method: route.method, path, headers, signal });
    try {
      return await answerOf(request, body);
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      if (!request.reusedSocket || !repeatable || attempt >= 4) throw networkFailure(thrown, wire);
    }
  }
}

async function answerOf(
  request: ClientRequest,
  body: string | undefined,
): Promise<IncomingMessage> {
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  request.end(body);
  const [response] = await answered;
  // Errors after the headers belong to whoever reads the body.
  request.on('error', () => {});
  return response;
}

async function selected(calling: Calling): Promise<number> {
  calling.version ??= select(calling);
  try {
    return await calling.version;
  } catch (thrown) {
    calling.version = undefined;
    throw thrown;
  }
}

/** Several calls may wait for this one, so it has a deadline of its own and nobody's signal. */
async function select(calling: Calling): Promise<number> {
  const route = calling.contract['hello'];
  if (route === undefined) throw new Error('a contract with host-to-host routes needs `hello`');
  const { versions } = (await call(calling, route, {}, {})) as Hello;
  const choice = selectVersion(calling.wire.peer, versions);
  if (!choice.ok) throw choice.error;
  return choice.version;
}

function fillPath(route: Route, input: AnyInput): string {
  const path = route.path.replaceAll(/:(\w+)/g, (_place, name: string) =>
    encodeURIComponent(input.params?.[name] ?? ''),
  );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(input.query ?? {})) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

/** Of one answer, or of one line of a stream. */
function answerLimit({ answerBytes = DEFAULT_BYTES }: Route, limits: Required<ClientOptions>) {
  return Math.min(answerBytes, limits.answerBytes);
}

function parse(wire: HttpPool, route: Route, text: string, limit: number): unknown {
  const value =
    route.text === undefined ? boundedJsonOf(text, limit, `an answer of ${wire.peer}`) : text;
  if (route.stream && isErrorLine(value)) throw refusal(text, 0, wire);
  const parsed = route.response.safeParse(value);
  if (parsed.success) return parsed.data;
  throw godwitError('GODWIT_PROTOCOL_INVALID', {
    peer: wire.peer,
    expected: `an answer of ${route.path}`,
    what: value === undefined ? 'not JSON' : whatIsWrong(parsed.error),
  });
}

function isErrorLine(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).join() === 'error';
}

function refusal(text: string, status: number, wire: HttpPool): Error {
  const value = boundedJsonOf(text, DEFAULT_BYTES, `an answer of ${wire.peer}`);
  const parsed = errorBody.safeParse(value);
  if (parsed.success) return fromSerial(parsed.data.error);
  const problem = problemBody.safeParse(value);
  if (problem.success) return fromSerial(problem.data);
  return godwitError('GODWIT_PROTOCOL_INVALID', {
    peer: wire.peer,
    expected: 'an answer of Godwit',
    what: `status ${status}: ${text.slice(0, 200)}`,
  });
}

/** The whole body as text; GODWIT_TOO_LARGE beyond `limit` bytes. `allowance`: gives what was read, even if it fails. */
async function readAll(
  response: IncomingMessage,
  limit: number,
  wire: HttpPool,
  allowance?: { bytes: number },
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (allowance !== undefined) allowance.bytes -= chunk.length;
      if (size > limit) throw tooLarge(wire, limit);
      chunks.push(chunk);
    }
  } catch (thrown) {
    throw networkFailure(thrown, wire);
  }
  return Buffer.concat(chunks, size).toString('utf8');
}

interface LineReading {
  readonly idleMs: number;
  readonly lineBytes: number;
  /** Waited for before the bytes are used: a reader that is slow makes the server wait. Shorter than `idleMs`. */
  readonly pace?: ((bytes: number) => Promise<void> | undefined) | undefined;
}

/** The lines of an NDJSON answer, without the empty ones that only say that the server lives. */
async function* readLines(
  response: IncomingMessage,
  { idleMs, lineBytes, pace }: LineReading,
  wire: HttpPool,
): AsyncGenerator<string, void, undefined> {
  const { socket } = response;
  let readBytes = socket.bytesRead;
  // Where this process did not run for a while, what arrived meanwhile is read before silence is concluded; and what
  // arrived for a reader that is busy is no silence.
  const timer = setTimeout(() => setImmediate(judge), idleMs);
  // A reader that has aborted may never come back for the rest.
  response.once('close', () => clearTimeout(timer));
  const judge = (): void => {
    if (response.closed) return;
    if (socket.bytesRead > readBytes) {
      readBytes = socket.bytesRead;
      timer.refresh();
      return;
    }
    const reason = `its stream was silent for ${idleMs} ms`;
    const { peer, address } = wire;
    response.destroy(godwitError('GODWIT_UNREACHABLE', { peer, address, reason }));
  };
  let rest = '';
  try {
    response.setEncoding('utf8');
    for await (const chunk of response as AsyncIterable<string>) {
      timer.refresh();
      await pace?.(Buffer.byteLength(chunk));
      rest += chunk;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > lineBytes) throw tooLarge(wire, lineBytes);
      for (const line of lines) if (line !== '') yield line;
    }
    if (rest !== '') yield rest;
  } catch (thrown) {
    throw networkFailure(thrown, wire);
  } finally {
    clearTimeout(timer);
  }
}

function tooLarge(wire: HttpPool, limit: number): GodwitError {
  return godwitError('GODWIT_TOO_LARGE', {
    what: `an answer of ${wire.peer}`,
    limit: formatBytes(limit),
  });
}
