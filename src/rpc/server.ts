import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { godwitError, toGodwitError, type GodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import {
  isAmongParts,
  type Contract,
  type Route,
  type RouteAnswer,
  type RouteInput,
} from '../protocol/route.ts';
import { errorsOf } from '../protocol/route-errors.ts';
import { framingOf, plainForm, sendBytes, sendLines, type AnswerForm } from './answer.ts';
import { callerOf, checkAccess, type Caller } from './caller.ts';
import { whyForged } from './forgery.ts';
import { identityOfCaller, joinerAt, type Identity } from './identity.ts';
import { checkVersion, endsOf, readInput, type Input } from './input.ts';
import { DEFAULT_LIMITS, type RpcLimits } from './limits.ts';
import { Ready } from './ready-answer.ts';
import { Recording, type RequestRecord } from './record.ts';
import { ownRefusals, type Refusals } from './refusals.ts';
import { router, splitUrl } from './routes.ts';
import type { SendQueues } from './send-queues.ts';
import { Shares } from './shares.ts';
import { watchAnswer, type Watch } from './watch.ts';
import { whatIsWrong } from '../protocol/errors.ts';

/** What a handler gets: the validated input, who asks, and a signal that aborts when the caller is gone. */
export type Call<R extends Route> = RouteInput<R> & {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** The address of this host that was called; undefined over a unix socket. */
  readonly calledAt: string | undefined;
  /** The address of who asks; undefined over a unix socket. */
  readonly calledFrom: string | undefined;
  /** The last event that a program had which comes back to a stream of them, as it says. */
  readonly lastEventId: string | undefined;
  readonly request: IncomingMessage;
  /** Sets a header of the answer. */
  readonly header: (name: string, value: string) => void;
};

type Answer<R extends Route> = R['stream'] extends true
  ? AsyncIterable<RouteAnswer<R>>
  : RouteAnswer<R> | Ready;

/** One function per route. What it throws becomes the answer's error; what it answers is validated too. */
export type Handlers<C extends Contract> = {
  readonly [K in keyof C]: (call: Call<C[K]>) => Promise<Answer<C[K]>> | Answer<C[K]>;
};

export interface ServeOptions {
  /** Who serves, for error texts. */
  readonly name: string;
  readonly log: Log;
  readonly limits?: Partial<RpcLimits>;
  /** Counts what is refused; default: those of this process. */
  readonly refusals?: Refusals;
  /** Throws to refuse a caller whom the table lets in; `key` is the route's name in the contract. */
  readonly authorise?: (caller: Caller, key: string) => void;
  /** Who sends a request, and throws for one that must not be taken; default: whom its connection's certificate names. */
  readonly callerOf?: (request: IncomingMessage) => Promise<Caller>;
  /** Called for each request that its caller may make. */
  readonly watch?: Watch;
  /** Keeps what is asked, and what is refused; absent: nobody does. */
  readonly record?: RequestRecord;
  /** What the kernel keeps for slow readers of streams is bounded by it; absent: by the kernel alone. */
  readonly queues?: SendQueues;
  /** How answers go out; default: as plain JSON. */
  readonly form?: AnswerForm;
}

type AnyHandler = (call: Call<Route>) => unknown;

interface Serving {
  readonly find: ReturnType<typeof router>;
  readonly handlers: Readonly<Record<string, AnyHandler>>;
  readonly options: ServeOptions;
  readonly limits: RpcLimits;
  readonly log: Log;
  readonly shares: Shares;
  readonly refusals: Refusals;
  readonly perConnection: WeakMap<Socket, number>;
  readonly callers: WeakMap<IncomingMessage, Caller>;
  readonly form: AnswerForm;
  readonly recording: Recording;
}

/** Of one stream: a caller that is known by a database is asked for again so often, not with each line. */
const ASKED_AGAIN_MS = 5000;

/**
 * A request listener for node:http or node:https that serves `contract`: finds the route, checks who asks, validates
 * what comes in and what goes out, and bounds both. Errors are always `{error: SerialError}` with the table's status.
 */
export function serve<C extends Contract>(
  contract: C,
  handlers: Handlers<C>,
  options: ServeOptions,
): RequestListener {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const find = router(contract);
  const serving: Serving = {
    find,
    handlers: handlers as unknown as Record<string, AnyHandler>,
    options,
    limits,
    log: options.log,
    shares: new Shares(limits),
    refusals: options.refusals ?? ownRefusals,
    perConnection: new WeakMap(),
    callers: new WeakMap(),
    form: options.form ?? plainForm,
    recording: new Recording(options.record, find),
  };
  return (request, response) => {
    void handle(serving, request, response);
  };
}

async function handle(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { socket } = request;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const onConnection = (serving.perConnection.get(socket) ?? 0) + 1;
  serving.perConnection.set(socket, onConnection);
  try {
    bounded(serving, onConnection);
    await answer(serving, request, response, gone.signal);
  } catch (thrown) {
    serving.recording.refused(request, serving.callers.get(request), thrown);
    if (response.destroyed) {
      serving.log.debug({ error: thrown, url: request.url }, 'caller gone');
    } else {
      const error = answered(serving, request, thrown);
      await serving.form.refuse(response, error, serving.limits.stallMs);
    }
  } finally {
    serving.perConnection.set(socket, (serving.perConnection.get(socket) ?? 1) - 1);
  }
}

function bounded(serving: Serving, onConnection: number): void {
  const limit = serving.limits.requestsPerConnection;
  if (onConnection <= limit) return;
  const what = `${serving.options.name}, in requests at once on one connection,`;
  throw godwitError('GODWIT_OVERLOADED', { what, limit });
}

async function answer(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const caller = await callerNow(serving, request);
  serving.callers.set(request, caller);
  // Whom we do not know holds no connection open.
  if (caller.role === 'none') response.setHeader('connection', 'close');
  const { path, search } = splitUrl(request.url);
  const method = request.method ?? '';
  const match = serving.find(method, path);
  if (match === undefined) {
    // A stranger learns that he is one, not which routes there are.
    if (caller.role === 'none') throw caller.refusal;
    throw godwitError('GODWIT_ROUTE_UNKNOWN', { method, path: path.slice(0, 200) });
  }
  const { route, key } = match;
  // Whom a server lets in is its own affair: a route for anyone may have a door that is not.
  checkAccess(caller, route.access, `${method} ${route.path}`);
  if (isAmongParts(route.access)) checkVersion(request, caller.name);
  serving.options.authorise?.(caller, key);
  // Whoever has left meanwhile never closes again.
  if (!signal.aborted) watchAnswer(serving.options.watch?.(key, route.stream), response);
  try {
    await admitted(serving, { match, search, caller, request, response, signal });
  } catch (thrown) {
    throw named(route, thrown);
  }
}

async function admitted(
  serving: Serving,
  asked: Omit<HttpExchange, 'who' | 'hold'>,
): Promise<void> {
  const { caller, request, signal } = asked;
  const { route } = asked.match;
  const who = identityFor(route, caller, request);
  const hold = route.stream
    ? serving.shares.stream(who)
    : await serving.shares.request(who, signal);
  try {
    await answerMatched(serving, { ...asked, who, hold });
  } finally {
    hold.release();
  }
}

interface HttpExchange extends Input {
  readonly response: ServerResponse;
}

async function callerNow({ options }: Serving, request: IncomingMessage): Promise<Caller> {
  if (options.callerOf !== undefined) return options.callerOf(request);
  const caller = callerOf(request.socket);
  if (caller.role === 'local') return caller;
  // A browser shows a certificate that it holds by itself, as it sends a cookie; it opens no unix socket.
  const { method = '', headers } = request;
  const what = whyForged({ method, headers, hasCookie: false, origin: undefined });
  if (what !== undefined) throw godwitError('GODWIT_REQUEST_FORGED', { what });
  return caller;
}

async function answerMatched(serving: Serving, asked: HttpExchange): Promise<void> {
  const { limits } = serving;
  const { caller, request, response, signal } = asked;
  const { route, key } = asked.match;
  const input = await readInput(limits, asked);
  const handler = serving.handlers[key];
  if (handler === undefined) throw new Error(`no handler for ${key}`);
  const last = request.headers['last-event-id'];
  const call: Call<Route> = {
    ...input,
    ...endsOf(request),
    caller,
    signal,
    request,
    header: (name, value) => void response.setHeader(name, value),
    lastEventId: typeof last === 'string' ? last.slice(0, 64) : undefined,
  };
  const result = await serving.recording.around(asked, input, () => handler(call));
  if (route.stream) {
    const lines = checked(route, result as AsyncIterable<unknown>);
    const failed = (thrown: unknown) => answered(serving, request, named(route, thrown));
    const room = serving.options.queues?.roomFor(request.socket);
    const rules = { failed, mayStill: stillMay(serving, asked), room };
    await sendLines(response, lines, limits, rules, framingOf(route));
  } else if (route.text === undefined) {
    const value = result instanceof Ready ? result : ownAnswer(route, result);
    await serving.form.send(response, value, limits.stallMs);
  } else {
    const bytes = Buffer.from(ownAnswer(route, result) as string);
    const headers = { 'content-type': route.text, 'cache-control': 'no-store' };
    await sendBytes(response, { status: 200, headers, bytes }, limits.stallMs);
  }
}

/** Whether the caller of a stream has still the right to it: throws once that is not so. */
function stillMay(
  serving: Serving,
  { request, match: { route } }: HttpExchange,
): () => void | Promise<void> {
  const isKnownHere = serving.options.callerOf !== undefined;
  let askedMs = performance.now();
  return () => {
    if (!isKnownHere) return checkAccess(callerOf(request.socket), route.access, route.path);
    if (performance.now() - askedMs < ASKED_AGAIN_MS) return undefined;
    askedMs = performance.now();
    return callerNow(serving, request).then((now) => checkAccess(now, route.access, route.path));
  };
}

/** An error that the contract does not name is a defect of ours, and comes out as one, with its own words. */
function named(route: Route, thrown: unknown): unknown {
  const error = toGodwitError(thrown);
  const codes = errorsOf(route);
  // What a newer host said is passed on: no route can name that.
  if (codes === undefined || [...codes, 'GODWIT_ERROR_NEWER'].includes(error.code)) return thrown;
  const what = `${route.method} ${route.path} does not name ${error.code}: ${error.message}`;
  return godwitError('GODWIT_INTERNAL', { what }, { hint: error.hint, cause: thrown });
}

/** A request is counted on who sends it; one of a route that stands apart never on what its sender may have besides. */
function identityFor(route: Route, caller: Caller, { socket }: IncomingMessage): Identity {
  return route.apart === 'join'
    ? joinerAt(socket.remoteAddress)
    : identityOfCaller(caller, socket.remoteAddress);
}

/** The error to send; a defect is logged with its stack, which stays here. */
function answered(serving: Serving, request: IncomingMessage, thrown: unknown): GodwitError {
  const error = toGodwitError(thrown);
  const facts = { method: request.method, url: request.url?.slice(0, 200), code: error.code };
  if (error.code === 'GODWIT_INTERNAL') {
    serving.log.error({ ...facts, error: thrown }, 'request failed because of a defect');
    return error;
  }
  const { socket } = request;
  const caller = serving.callers.get(request) ?? callerOf(socket);
  const { label: peer, circle } = identityOfCaller(caller, socket.remoteAddress);
  const note = serving.refusals.note({ peer, circle, code: error.code, message: error.message });
  if (note === undefined) return error;
  serving.log.info({ ...facts, by: peer, reason: error.message, ...note }, 'request refused');
  return error;
}

/** Events that were held to their contract once: they go to many who follow. */
const taken = new WeakMap<object, object>();

/** What we say ourselves is held to the contract as well; breaking it is our defect, not the caller's. */
function ownAnswer(route: Route, value: unknown): unknown {
  const parsed = route.response.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = whatIsWrong(parsed.error);
  const what = `the answer of ${route.path} breaks its contract: ${why}`;
  throw godwitError('GODWIT_INTERNAL', { what });
}

/** The same of each object of a stream. */
async function* checked(
  route: Route,
  lines: AsyncIterable<unknown>,
): AsyncGenerator<unknown, void, undefined> {
  for await (const line of lines) {
    const isShared = typeof line === 'object' && line !== null && route.framing === 'events';
    const known = isShared ? taken.get(line) : undefined;
    const value = known ?? ownAnswer(route, line);
    if (isShared && known === undefined) taken.set(line, value as object);
    yield value;
  }
}
