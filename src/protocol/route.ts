import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';

/**
 * Caller's role. An operator has all rights of a viewer. `agent` is separate: host to host. So is `controller`: it
 * reads as a viewer and gives `orders`. A `relay` has a stranger's rights: it joins streams, and sees no requests.
 */
export const role = z.enum(['viewer', 'operator', 'controller', 'agent', 'relay']);
export type Role = z.infer<typeof role>;

/**
 * `anyone`: no certificate. `orders`: an operator, or a controller on a person's behalf. `admin`: manages access; no
 * certificate has that role. `member`: another host's agent, or a controller. `local`: only the Unix socket of the same
 * host.
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

/** Internal routes, whose callers first agree on a version. */
export function isAmongParts(access: Access): boolean {
  return access === 'agent' || access === 'member';
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

const MIB = 1024 ** 2;
/** Body sizes: small objects; descriptions and stream lines; reports; lists. */
export const DEFAULT_BYTES = MIB / 4;
export const LARGE_BYTES = MIB;
export const REPORT_BYTES = 4 * MIB;
export const LIST_BYTES = 32 * MIB;

export interface Traits {
  /** Counted against a separate share, which other calls cannot fill. */
  readonly apart?: 'join';
  /**
   * Audit of a request that is not a GET. Absent: recorded before it is carried out, then with its result. `never`: it
   * changes nothing. `by-handler`: its handler adds the entry before a change.
   */
  readonly audited?: 'never' | 'by-handler';
  /** The route's errors, apart from the common ones; absent: any of the table. */
  readonly errors?: readonly ErrorCode[];
  /** Framing of a stream. Absent: NDJSON; `events`: server-sent events with ids. */
  readonly framing?: 'events';
  /** The answer is text of this media type; its schema is a string. */
  readonly text?: string;
  /** Maximum request body, bytes, which also limits its number of values. Absent: DEFAULT_BYTES. */
  readonly bodyBytes?: number;
  readonly answerBytes?: number;
  /** Kept for programs of earlier builds; names the successor. */
  readonly replacedBy?: string;
}

export interface Route extends Traits {
  readonly method: Method;
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
export interface RouteInput<R extends Route> {
  readonly params: z.output<R['params']>;
  readonly query: z.output<R['query']>;
  readonly body: Out<R['body']>;
}

/** Optional if all of its fields are. */
type Part<K extends string, T> = {} extends T
  ? { readonly [P in K]?: T }
  : { readonly [P in K]: T };

export type CallInput<R extends Route> = Part<'params', z.input<R['params']>> &
  Part<'query', z.input<R['query']>> &
  (R['body'] extends z.ZodType ? { readonly body: z.input<R['body']> } : unknown);

export type RouteOutput<R extends Route> = z.output<R['response']>;

export type RouteAnswer<R extends Route> = z.input<R['response']>;
