import { godwitError } from '../errors.ts';
import { whatIsWrong } from '../protocol/errors.ts';
import type { Route } from '../protocol/route.ts';

/** Events that were held to their contract once: they go to many who follow. */
const taken = new WeakMap<object, object>();

/** What we say ourselves is held to the contract as well; breaking it is our defect, not the caller's. */
export function ownAnswer(route: Route, value: unknown): unknown {
  const parsed = route.response.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = whatIsWrong(parsed.error);
  const what = `the answer of ${route.path} breaks its contract: ${why}`;
  throw godwitError('GODWIT_INTERNAL', { what });
}

/** The same of each object of a stream. */
export async function* checked(
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
