import type { IncomingMessage } from 'node:http';
import { toGodwitError } from '../errors.ts';
import type { Route, RouteInput } from '../protocol/route.ts';
import type { Caller } from './caller.ts';
import { endsOf } from './input.ts';
import { splitUrl, type Match, type router } from './routes.ts';

/** A request as whoever keeps a record of requests sees it. */
export interface RecordedRequest {
  /** The route's name in its contract. */
  readonly key: string;
  readonly route: Route;
  /** Undefined where the request was refused before it was known who sends it. */
  readonly caller: Caller | undefined;
  /** Its address; undefined over a unix socket. */
  readonly from: string | undefined;
}

/** Called for requests: for each one before it is done, and for what is refused. */
export interface RequestRecord {
  /**
   * Before a request is done. Throws where it could not be written down: the request is refused then. What it answers is
   * called with what came of it, `ok` or the error's code, and never throws; undefined: this request is not kept.
   */
  begin(
    request: RecordedRequest,
    input: RouteInput<Route>,
  ): Promise<((code: string) => Promise<void>) | undefined>;
  /** A request that was refused before it was begun. Returns at once and never throws. */
  refused(request: RecordedRequest, code: string): void;
}

interface ReceivedRequest {
  readonly request: IncomingMessage;
  readonly match: Match;
  readonly caller: Caller;
}

/** Gives each request of a server to a record once: that it is done, or that it was refused. */
export class Recording {
  readonly #record: RequestRecord | undefined;
  readonly #find: ReturnType<typeof router>;
  readonly #begun = new WeakSet<IncomingMessage>();

  constructor(record: RequestRecord | undefined, find: ReturnType<typeof router>) {
    this.#record = record;
    this.#find = find;
  }

  /** Does the work of a request once it is written down that it was asked for. */
  async around<T>(
    { request, match, caller }: ReceivedRequest,
    input: RouteInput<Route>,
    work: () => T,
  ): Promise<Awaited<T>> {
    const { calledFrom: from } = endsOf(request);
    const ended = await this.#record?.begin({ ...match, caller, from }, input);
    if (ended === undefined) return await work();
    this.#begun.add(request);
    try {
      const value = await work();
      await ended('ok');
      return value;
    } catch (thrown) {
      await ended(toGodwitError(thrown).code);
      throw thrown;
    }
  }

  /** One that no route takes is no change. */
  refused(request: IncomingMessage, caller: Caller | undefined, thrown: unknown): void {
    if (this.#record === undefined || this.#begun.has(request)) return;
    const { path } = splitUrl(request.url);
    const match = this.#find(request.method ?? '', path);
    if (match === undefined) return;
    const { calledFrom: from } = endsOf(request);
    this.#record.refused({ ...match, caller, from }, toGodwitError(thrown).code);
  }
}
