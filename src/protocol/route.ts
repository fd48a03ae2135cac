import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';

/**
 * Who may call a route. An operator may do what a viewer may. `agent` stands apart: host to host. So does `controller`: it
 * reads what a viewer reads, and gives `orders`. A `relay` may do what a stranger may: it joins streams, and sees no request.
 */
export const role = z.enum(['viewer', 'operator', 'controller', 'agent', 'relay']);
export type Role = z.infer<typeof role>;

/**
 * `anyone`: no certificate asked. `orders`: an operator, or a controller in somebody's name. `admin`: whoever decides who
 * may what; no certificate has that role. `member`: another host's agent, or a controller. `local`: only over the unix
 * socket of the same host.
 */
export type Access =
  | 'anyone'
  | 'viewer'
  | 'orders'
  | 'operator'
  | 'admin'
  | 'member'
  | 'agent'
  | 'local';

/** Routes between parts of Godwit, which agree on a version of them first. */
export function isAmongParts(access: Access): boolean {
  return access === 'agent' || access === 'member';
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

const MIB = 1024 ** 2;
/** Largest bodies: of what has a few parts, of descriptions and lines of streams, of reports, and of lists. */
export const DEFAULT_BYTES = MIB / 4;
export const LARGE_BYTES = MIB;
export const REPORT_BYTES = 4 * MIB;
export const LIST_BYTES = 32 * MIB;

/** What holds of a route besides what goes in and what comes out. */
export interface Traits {
  /** Counted on a share of its own, which whoever calls other routes cannot fill. */
  readonly apart?: 'join';
  /**
   * How a controller's audit log has a request that is not a GET. Absent: with its result, before it is carried out.
   * `never`: it changes nothing. `by-handler`: its handler adds the entry once it is about to change something.
   */
  readonly audited?: 'never' | 'by-handler';
  /** The errors of its own that it answers with, besides those of every route; absent: any of the table. */
  readonly errors?: readonly ErrorCode[];
  /** How a stream frames its objects: absent: one a line (NDJSON); `events`: server-sent events, which have ids. */
  readonly framing?: 'events';
  /** The answer is a text of this media type, and no JSON; its schema is that of a string. */
  readonly text?: string;
  /** The longest body of a request, bytes. Absent: DEFAULT_BYTES. The number of its values is bounded by it, too. */
  readonly bodyBytes?: number;
  /** The same of an answer; of a stream: of one line. */
  readonly answerBytes?: number;
  /** Still answered for programs of earlier builds; the route that takes its place. */
  readonly replacedBy?: string;
}

export interface Route extends Traits {
  readonly method: Method;
  /** Path with `:name` places, which `params` describes. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body: z.ZodType | undefined;
  /** The answer; with `stream`, one such object per line (NDJSON) until the server ends it. */
  readonly response: z.ZodType;
  readonly stream: boolean;
}

const none = z.object({});
/** The media type of a route's answer. */
export function answerType(route: Pick<Route, 'stream' | 'framing' | 'text'>): string {
  const { stream, framing, text } = route;
  if (text !== undefined) return text;
  if (!stream) return 'application/json';
  return framing === 'events' ? 'text/event-stream' : 'application/x-ndjson';
}

type Shape<P, Q, B, R, S> = Traits & {
  method: Method;
  path: string;
  summary: string;
  access: Access;
  params: P;
  query: Q;
  body: B;
  response: R;
  stream: S;
};

/** One route; what is left out of `given` is empty. */
export function route<
  R extends z.ZodType,
  P extends z.ZodObject = typeof none,
  Q extends z.ZodObject = typeof none,
  B extends z.ZodType | undefined = undefined,
  S extends boolean = false,
>(
  given: Traits & {
    method: Method;
    path: string;
    summary: string;
    access: Access;
    params?: P;
    query?: Q;
    body?: B;
    response: R;
    stream?: S;
  },
): Shape<P, Q, B, R, S> {
  return {
    params: none as unknown as P,
    query: none as unknown as Q,
    body: undefined as B,
    stream: false as S,
    ...given,
  };
}

export type Contract = Readonly<Record<string, Route>>;
type Out<T> = T extends z.ZodType ? z.output<T> : undefined;
/** What a server's handler gets, validated. */
export interface RouteInput<R extends Route> {
  readonly params: z.output<R['params']>;
  readonly query: z.output<R['query']>;
  readonly body: Out<R['body']>;
}

/** A part that may be left out when all of it is optional. */
type Part<K extends string, T> = {} extends T
  ? { readonly [P in K]?: T }
  : { readonly [P in K]: T };

/** What a client gives. */
export type CallInput<R extends Route> = Part<'params', z.input<R['params']>> &
  Part<'query', z.input<R['query']>> &
  (R['body'] extends z.ZodType ? { readonly body: z.input<R['body']> } : unknown);

export type RouteOutput<R extends Route> = z.output<R['response']>;

/** What a server's handler answers, before it is validated. */
export type RouteAnswer<R extends Route> = z.input<R['response']>;
