import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { GodwitError, godwitError, hasCode, toGodwitError } from '../errors.ts';
import { whatIsWrong } from '../protocol/errors.ts';
import { nearest } from '../protocol/nearest.ts';
import { DEFAULT_BYTES, isAmongParts, type Route, type RouteInput } from '../protocol/route.ts';
import { PROTOCOL_HEADER, PROTOCOL_VERSIONS } from '../protocol/version.ts';
import { boundedJson } from './bounded-json.ts';
import type { Caller } from './caller.ts';
import type { Identity } from './identity.ts';
import type { RpcLimits } from './limits.ts';
import type { Match } from './routes.ts';
import type { Hold } from './shares.ts';
import { withDeadline } from '../deadline.ts';
import { formatBytes } from '../formats/quantity.ts';

export interface Input {
  readonly match: Match;
  /** Behind the question mark. */
  readonly search: string;
  readonly caller: Caller;
  readonly who: Identity;
  readonly hold: Hold;
  readonly request: IncomingMessage;
  readonly signal: AbortSignal;
}

/** Path, query and body of a request as its route takes them; GODWIT_PROTOCOL_INVALID says what is wrong, and where. */
export async function readInput(limits: RpcLimits, input: Input): Promise<RouteInput<Route>> {
  try {
    return await readParts(limits, input);
  } catch (error) {
    const isPersons = PERSONS.has(input.caller.role) && hasCode(error, 'GODWIT_PROTOCOL_INVALID');
    if (!isPersons) throw error;
    throw new GodwitError({ ...error.toJSON(), hint: PERSONS_HINT }, { cause: error });
  }
}

async function readParts(limits: RpcLimits, input: Input): Promise<RouteInput<Route>> {
  const { match, search, request, caller, who, hold, signal } = input;
  const { route, params } = match;
  const peer = caller.name;
  const query = queryOf(route, search, caller);
  const bounds = {
    bytes: Math.min(limits.bodyBytes, route.bodyBytes ?? DEFAULT_BYTES),
    ms: limits.shares[who.circle].bodyMs,
    take: hold.take,
  };
  // What is wrong with them needs no body: its sender is refused before it has sent all of it.
  const asked = {
    params: valid(route.params, params, peer, `a path ${route.path}`),
    query: valid(route.query, query, peer, `a query of ${route.path}`),
  };
  if (route.body === undefined) return { ...asked, body: undefined };
  const body = await readJson(request, bounds, peer, signal);
  return { ...asked, body: valid(route.body, body, peer, `a body of ${route.path}`) as undefined };
}

/** Who may have written the request by hand. */
const PERSONS: ReadonlySet<Caller['role']> = new Set(['local', 'viewer', 'operator', 'admin']);

const PERSONS_HINT =
  'GET /openapi.json describes what each call takes. If `godwit` sent it, its version and the one of who answers differ.';

/** Who is a program of a build that may be newer than this one. */
const PARTS: ReadonlySet<Caller['role']> = new Set(['agent', 'controller']);

/**
 * The parameters behind the question mark, each once. A person’s `?dryrun=true` must not order what `?dryRun=true` only
 * tries, so that one which the route lacks is refused; between parts of Godwit a newer one may say more.
 */
function queryOf(route: Route, search: string, caller: Caller): Record<string, string> {
  const names = Object.keys(route.query.shape);
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(search)) {
    const isKnown = names.includes(name);
    if (!isKnown && (isAmongParts(route.access) || PARTS.has(caller.role))) continue;
    const twice = Object.hasOwn(query, name);
    if (isKnown && !twice) query[name] = value;
    else {
      const near = nearest(name, names);
      const meant = near === undefined ? '' : `; did you mean ${near}?`;
      const said = JSON.stringify(name.slice(0, 64));
      const what = twice ? `${said} is there twice` : `it has no parameter ${said}${meant}`;
      throw godwitError('GODWIT_PROTOCOL_INVALID', {
        peer: caller.name,
        expected: `a query of ${route.path}`,
        what,
      });
    }
  }
  return query;
}

function valid<T extends z.ZodType>(
  schema: T,
  value: unknown,
  peer: string,
  expected: string,
): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const what = whatIsWrong(parsed.error, schema);
  throw godwitError('GODWIT_PROTOCOL_INVALID', { peer, expected, what });
}

/** Where a request came in and from where; both undefined over a unix socket. */
export function endsOf({ socket }: IncomingMessage): {
  readonly calledAt: string | undefined;
  readonly calledFrom: string | undefined;
} {
  return {
    // A socket for both families shows IPv4 so.
    calledAt: socket.localAddress?.replace(/^::ffff:(?=\d+\.)/, ''),
    calledFrom: socket.remoteAddress,
  };
}

/** GODWIT_PROTOCOL_VERSION where a part of Godwit names none that this build knows. */
export function checkVersion(request: IncomingMessage, peer: string): void {
  const said = request.headers[PROTOCOL_HEADER];
  const theirs = typeof said === 'string' && said !== '' ? said.slice(0, 32) : 'none';
  if (PROTOCOL_VERSIONS.some((version) => String(version) === theirs)) return;
  const ours = PROTOCOL_VERSIONS.join(', ');
  throw godwitError('GODWIT_PROTOCOL_VERSION', { peer, theirs, ours });
}

/** A sender that has begun gets its refusal only when it listens, so this many times the limit is read and dropped. */
const DROPPED_FACTOR = 8;

interface BodyBounds {
  /** Of this body. */
  readonly bytes: number;
  /** Until all of it is there. */
  readonly ms: number;
  /** Counts what comes on its sender’s share; throws where that has no room. */
  readonly take: (bytes: number) => void;
}

/**
 * Reads the JSON body of a request. GODWIT_TOO_LARGE beyond its bytes or values, however it was announced; GODWIT_DEADLINE when
 * its sender is too slow; GODWIT_PROTOCOL_INVALID when it is not JSON. What its headers say is judged before it is read.
 */
async function readJson(
  request: IncomingMessage,
  bounds: BodyBounds,
  peer: string,
  signal: AbortSignal,
): Promise<unknown> {
  const type = request.headers['content-type'] ?? '';
  const invalid = (what: string, cause?: unknown): Error =>
    godwitError('GODWIT_PROTOCOL_INVALID', { peer, expected: 'a JSON body', what }, { cause });
  if (!/^application\/json\b/i.test(type)) {
    throw invalid(`content-type is ${type.slice(0, 80) || 'absent'}`);
  }
  const bytes = await withDeadline(`the body of ${peer}`, bounds.ms, signal, (inner) =>
    readBytes(request, bounds, inner),
  );
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid('it is not UTF-8', cause);
  }
  try {
    return boundedJson(text, bounds.bytes, 'the request body');
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw invalid(text === '' ? 'it is empty' : 'it is not JSON', cause);
  }
}

/** Reads on after its signal, and keeps nothing: a stream that is left ends its connection, and with it the refusal. */
async function readBytes(
  request: IncomingMessage,
  { bytes: limit, take }: BodyBounds,
  signal: AbortSignal,
): Promise<Buffer> {
  const tooLarge = godwitError('GODWIT_TOO_LARGE', {
    what: 'the request body',
    limit: formatBytes(limit),
  });
  if (Number(request.headers['content-length'] ?? 0) > limit * DROPPED_FACTOR) throw tooLarge;
  const chunks: Buffer[] = [];
  let size = 0;
  let full: GodwitError | undefined;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit * DROPPED_FACTOR) break;
    if (size > limit || full !== undefined || signal.aborted) {
      chunks.length = 0;
      continue;
    }
    try {
      take(chunk.length);
      chunks.push(chunk);
    } catch (thrown) {
      full = toGodwitError(thrown);
    }
  }
  if (size > limit) throw tooLarge;
  if (full !== undefined) throw full;
  return Buffer.concat(chunks, size);
}
