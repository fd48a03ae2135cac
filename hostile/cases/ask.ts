import type { z } from 'zod';
import type { Route } from '../../src/protocol/route.ts';
import { PROTOCOL_HEADER, PROTOCOL_VERSIONS } from '../../src/protocol/version.ts';
import type { Random } from '../../sim/random.ts';
import { EPOCH, type Facts } from '../facts.ts';
import { spoiled, spoiledWord } from '../generate/spoil.ts';
import { validOf, type Words } from '../generate/values.ts';
import { contractOf, type Ask, type Target } from './case.ts';

export interface Asking {
  readonly random: Random;
  readonly words: Words;
  readonly facts: Facts;
}

const VERSION = String(PROTOCOL_VERSIONS[0]);

/** What a request is made of, before it is text. */
interface Parts {
  params: Record<string, unknown>;
  query: Record<string, unknown>;
  body: unknown;
}

/** A request to one route: as its schema has it, or with something of it spoiled. */
export function askOf(target: Target, key: string, asking: Asking): Ask {
  const route = contractOf(target)[key];
  if (route === undefined) throw new Error(`no route ${key}`);
  const { random, facts } = asking;
  const parts = validParts(key, route, asking);
  const way = random.next();
  // As valid as can be: then who asks, and for what, is what is wrong with it.
  if (way >= 0.25 && way < 0.8) parts.body = spoiled(parts.body, random, facts);
  if (way >= 0.8 && way < 0.88) spoilOne(parts.params, asking);
  if (way >= 0.88 && way < 0.93) spoilOne(parts.query, asking);
  const headers = way >= 0.93 ? oddHeaders(random) : { [PROTOCOL_HEADER]: VERSION };
  return { ...formed(route, parts), target, route: key, headers, ...wrongs(target, parts, facts) };
}

/** The same with nothing spoiled. */
export function validAsk(target: Target, key: string, asking: Asking): Ask {
  const route = contractOf(target)[key];
  if (route === undefined) throw new Error(`no route ${key}`);
  const parts = validParts(key, route, asking);
  const headers = { [PROTOCOL_HEADER]: VERSION };
  const wrong = wrongs(target, parts, asking.facts);
  return { ...formed(route, parts), target, route: key, headers, ...wrong };
}

function validParts(key: string, route: Route, { random, words }: Asking): Parts {
  const made = (part: string, schema: z.ZodType | undefined): unknown =>
    schema === undefined ? undefined : validOf(schema, { random, words }, `${key}.${part}`);
  return {
    params: made('params', route.params) as Record<string, unknown>,
    query: made('query', route.query) as Record<string, unknown>,
    body: made('body', route.body),
  };
}

function formed(route: Route, { params, query, body }: Parts): Pick<Ask, 'method' | 'path'> {
  const path = route.path.replaceAll(/:(\w+)/g, (_whole, name: string) => escaped(params[name]));
  const search = Object.entries(query)
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .join('&');
  return {
    method: route.method,
    path: search === '' ? path : `${path}?${search}`,
    ...(route.body === undefined ? {} : { body: JSON.stringify(body) ?? '' }),
  };
}

/** Only what a request line cannot hold: a slash stays one. */
function escaped(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.replaceAll(/[^\x21-\x7e]|[?#]/g, (char) => encodeURIComponent(char));
}

function spoilOne(parts: Record<string, unknown>, { random, facts }: Asking): void {
  const names = [...Object.keys(parts), 'extra'];
  parts[random.pick(names)] = spoiledWord(random, facts);
}

function oddHeaders(random: Random): Record<string, string> {
  return random.pick<Record<string, string>>([
    {},
    { [PROTOCOL_HEADER]: '99' },
    { [PROTOCOL_HEADER]: '1, 1' },
    { [PROTOCOL_HEADER]: VERSION, 'content-type': 'text/html' },
    { [PROTOCOL_HEADER]: VERSION, 'content-encoding': 'gzip' },
    { [PROTOCOL_HEADER]: VERSION, expect: '100-continue' },
    { [PROTOCOL_HEADER]: VERSION, 'x-forwarded-for': '127.0.0.1', host: 'localhost' },
  ]);
}

/** What of a request is none of this host’s business. */
function wrongs(
  target: Target,
  { params, body }: Parts,
  { foreign }: Facts,
): Pick<Ask, 'isForeign' | 'isForged'> {
  const said = (body ?? {}) as { readonly id?: unknown; readonly epoch?: unknown };
  const isForeign = [params['id'], said.id].includes(foreign.id);
  const isForged = typeof said.epoch === 'number' && said.epoch !== EPOCH;
  return {
    isForeign: target === 'foreign' || isForeign,
    ...(target === 'mover' && isForged ? { isForged } : {}),
  };
}
