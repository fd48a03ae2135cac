import { godwitError, GodwitError, toGodwitError } from '../src/errors.ts';
import type { Contract, Route } from '../src/protocol/route.ts';
import { whatIsWrong } from '../src/protocol/errors.ts';
import type { Caller } from '../src/rpc/caller.ts';
import type { SimProcess } from './process.ts';
import { ADDRESSES, HOSTS, type HostName } from './scenario.ts';

export type Handler = (call: object) => unknown;

export interface Server {
  readonly process: SimProcess;
  readonly contract: Contract;
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly authorise: (caller: Caller) => void;
  closing: boolean;
  /** Connections on which no answer has been given yet: they break when the process dies. */
  readonly open: Set<Exchange>;
}

export interface Input {
  readonly params?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
}

/** One call, from the client's first byte until somebody gives it up. */
export interface Exchange {
  readonly client: SimProcess;
  readonly name: string;
  readonly address: string;
  readonly key: string;
  readonly text: string;
  readonly gone: AbortController;
  answered: boolean;
  readonly settle: (result: Result) => void;
}

export function hostOf(address: string): HostName {
  const [ip = ''] = address.split(':');
  const found = HOSTS.find((name) => ADDRESSES[name].startsWith(`${ip}:`));
  if (found === undefined) throw new Error(`no host is at ${address}`);
  return found;
}

export type Result = { readonly text: string } | { readonly error: GodwitError };

/** As the real server does: validates what comes in and what goes out, and answers errors of the table. */
export async function answer(server: Server, exchange: Exchange): Promise<Result> {
  try {
    const caller: Caller = { role: 'agent', name: exchange.client.host };
    server.authorise(caller);
    const route = server.contract[exchange.key];
    const handler = server.handlers[exchange.key];
    if (route === undefined || handler === undefined) throw new Error(`no ${exchange.key} here`);
    const given = JSON.parse(exchange.text) as Input;
    const signal = exchange.gone.signal;
    const result = await handler({
      params: route.params.parse(given.params ?? {}),
      query: route.query.parse(given.query ?? {}),
      body: route.body?.parse(given.body),
      caller,
      signal,
      calledAt: exchange.address.split(':')[0],
    });
    return { text: JSON.stringify(route.response.parse(result)) };
  } catch (thrown) {
    return { error: new GodwitError(toGodwitError(thrown).toJSON()) };
  }
}

export function parse(route: Route, text: string, peer: string): unknown {
  const parsed = route.response.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  const what = whatIsWrong(parsed.error);
  throw godwitError('GODWIT_PROTOCOL_INVALID', { peer, expected: 'an answer', what });
}
