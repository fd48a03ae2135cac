import { personWords } from './problem-words.ts';

/** What the controller, or the network path to it, says against a request. */
export class Problem extends Error {
  override readonly name = 'Problem';
  /** 0 where nothing answered. */
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  readonly retryable: boolean;
  /** All that the answer said besides. */
  readonly extra: object;

  constructor(given: {
    status: number;
    code: string;
    message: string;
    hint?: string;
    retryable?: boolean;
    extra?: object;
  }) {
    super(given.message);
    this.status = given.status;
    this.code = given.code;
    this.hint = given.hint ?? '';
    this.retryable = given.retryable ?? false;
    this.extra = given.extra ?? {};
  }
}

const DEADLINE_MS = 30_000;

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** For an answer that takes its time; ms. */
  readonly deadlineMs?: number;
  /** A stream: no deadline ends it, only the signal. */
  readonly endless?: boolean;
}

/** One request of this page's own controller. Throws Problem; an abort by the caller's signal throws what that says. */
export async function request(path: string, asked: RequestOptions = {}): Promise<Response> {
  const { method = 'GET', body, headers = {}, signal, endless = false } = asked;
  const late = endless ? undefined : AbortSignal.timeout(asked.deadlineMs ?? DEADLINE_MS);
  const ends = [signal, late].filter((each) => each !== undefined);
  const init: RequestInit = {
    method,
    credentials: 'same-origin',
    redirect: 'error',
    headers: {
      accept: 'application/json, application/problem+json',
      // Only this page's own scripts can send it: see "CSRF" in docs/dashboard.md.
      ...(method === 'GET' ? {} : { 'x-godwit-request': '1' }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    signal: AbortSignal.any(ends),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (thrown) {
    if (signal?.aborted === true) throw thrown;
    throw unreachable();
  }
  if (response.ok || response.status === 304) return response;
  throw await problemOf(response);
}

/** As `request`, with the answer's JSON. */
export async function ask<T>(path: string, asked: RequestOptions = {}): Promise<T> {
  const response = await request(path, asked);
  try {
    return (await response.json()) as T;
  } catch (thrown) {
    if (asked.signal?.aborted === true) throw thrown;
    throw unreachable();
  }
}

const UNREACHABLE = 'GODWIT_UNREACHABLE';

/** The controller itself does not answer, which the top of every page says. */
export const isUnreachable = ({ status, code }: Problem): boolean =>
  status === 0 && code === UNREACHABLE;

export function unreachable(): Problem {
  return new Problem({
    status: 0,
    code: UNREACHABLE,
    message: 'the controller does not answer',
    hint: 'Check that it runs and that this computer can reach it.',
    retryable: true,
  });
}

interface ProblemBody {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly retryable?: boolean;
  readonly error?: { code?: string; message?: string; hint?: string; retryable?: boolean };
}

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => '');
  let body: ProblemBody = {};
  try {
    const read: unknown = JSON.parse(text);
    if (typeof read === 'object' && read !== null) body = read;
  } catch {
    // A proxy on the way answers in words of its own; its status says enough.
  }
  const { error } = body;
  const words = personWords({
    code: body.code ?? error?.code ?? `HTTP ${response.status}`,
    message: body.detail ?? error?.message ?? body.title ?? 'the controller refused the request',
    hint: body.hint ?? error?.hint ?? '',
  });
  return new Problem({
    status: response.status,
    extra: body,
    ...words,
    retryable: body.retryable ?? error?.retryable ?? response.status >= 500,
  });
}

/** What went wrong, as a Problem whatever it is. */
export function asProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Problem({ status: 0, code: 'ERROR', message });
}
