import fc from 'fast-check';
import { z } from 'zod';
import type { Random } from '../../sim/random.ts';

/**
 * Values that a schema takes, made from the schema itself: of the live contract, so that what is added to it is said to
 * hosts from then on. A kind of schema, or a pattern, from which nothing can be made is an error.
 */

/** What is said where a schema occurs, known by its identity: names that mean something to the host that is asked. */
export type Words = ReadonlyMap<z.ZodType, readonly unknown[]>;

/** A schema of the contract for which nothing is made: the run fails with it. */
export class NoGenerator extends Error {
  constructor(at: string, why: string) {
    super(`no generator for ${at}: ${why}`);
    this.name = 'NoGenerator';
  }
}

export interface Making {
  readonly random: Random;
  readonly words: Words;
}

/** How often a refinement may refuse what was made. */
const TRIES = 40;
/** Of one pattern, strings that are picked from. */
const POOL = 64;
/** Longest lists and texts that are made; longer ones are the spoiler's business. */
const MAX_ITEMS = 3;
const MAX_CHARS = 40;
const CHARS = 'a z 0 9 - _ . / : " \\ { } é'.split(' ').concat(' ');
/** How often a word is taken where there are some. */
const WORD_SHARE = 0.8;

/** A value that `schema` takes. Throws NoGenerator where none can be made. */
export function validOf(schema: z.ZodType, making: Making, at: string): unknown {
  let why = '';
  for (let count = 0; count < TRIES; count += 1) {
    const made = valueOf(schema, making, at);
    const parsed = schema.safeParse(made);
    if (parsed.success) return made;
    why = z.prettifyError(parsed.error);
  }
  throw new NoGenerator(at, `what was made is refused: ${why}`);
}

function valueOf(schema: z.ZodType, making: Making, at: string): unknown {
  const { random, words } = making;
  const known = words.get(schema);
  if (known !== undefined && random.chance(WORD_SHARE)) return random.pick(known);
  const { def } = (schema as unknown as z.core.$ZodTypes)._zod;
  const inner = (type: unknown, part = ''): unknown =>
    valueOf(type as z.ZodType, making, part === '' ? at : `${at}.${part}`);
  switch (def.type) {
    case 'string':
      return textOf(def, random, at);
    case 'number':
      return numberOf(def, random);
    case 'boolean':
      return random.chance(0.5);
    case 'unknown':
    case 'any':
      return random.pick([null, 0, 'x', [], {}, { spec: 1 }]);
    case 'literal':
      return random.pick(def.values);
    case 'enum':
      return random.pick(Object.values(def.entries));
    case 'union':
      return inner(random.pick(def.options));
    case 'intersection':
      return Object.assign({}, inner(def.left), inner(def.right));
    case 'array':
      return manyOf(random, boundsOf(def)).map((index) => inner(def.element, String(index)));
    case 'object':
      return objectOf(def.shape, making, at);
    case 'record':
      return recordOf(def, making, at);
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'catch':
    case 'readonly':
    case 'nonoptional':
      return inner(def.innerType);
    case 'pipe':
      // What is only made ready for a schema (z.preprocess) looks as that schema says.
      return inner(def.in._zod.def.type === 'transform' ? def.out : def.in);
    case 'lazy':
      return inner(def.getter());
    default:
      throw new NoGenerator(at, `nothing makes the kind ${def.type}`);
  }
}

function objectOf(shape: z.core.$ZodShape, making: Making, at: string): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (const [key, type] of Object.entries(shape)) {
    const optional = (type as unknown as z.ZodType).safeParse(undefined).success;
    if (optional && making.random.chance(0.4)) continue;
    made[key] = valueOf(type as unknown as z.ZodType, making, `${at}.${key}`);
  }
  return made;
}

function recordOf(def: z.core.$ZodRecordDef, making: Making, at: string): Record<string, unknown> {
  const { random } = making;
  const keyDef = (def.keyType as unknown as z.core.$ZodTypes)._zod.def;
  const keys =
    keyDef.type === 'enum'
      ? Object.values(keyDef.entries).map(String)
      : manyOf(random, boundsOf(def)).map(() =>
          String(valueOf(def.keyType as unknown as z.ZodType, making, `${at} (a key)`)),
        );
  return Object.fromEntries(
    keys.map((key) => [
      key,
      valueOf(def.valueType as unknown as z.ZodType, making, `${at}.${key}`),
    ]),
  );
}

interface Bounds {
  min: number;
  max: number;
  whole: boolean;
  patterns: RegExp[];
}

/** What the checks of a schema say, as far as they are bounds or patterns; others are left to `validOf`. */
function boundsOf(given: z.core.$ZodTypeDef): Bounds {
  const bounds: Bounds = { min: -Infinity, max: Infinity, whole: false, patterns: [] };
  const own = given as { readonly pattern?: unknown };
  if (own.pattern instanceof RegExp) bounds.patterns.push(own.pattern);
  for (const check of given.checks ?? []) {
    const def = (check as unknown as z.core.$ZodChecks)._zod.def;
    if (def.check === 'min_length') bounds.min = def.minimum;
    if (def.check === 'max_length') bounds.max = def.maximum;
    if (def.check === 'length_equals') bounds.min = bounds.max = def.length;
    if (def.check === 'greater_than') bounds.min = Number(def.value) + (def.inclusive ? 0 : 1);
    if (def.check === 'less_than') bounds.max = Number(def.value) - (def.inclusive ? 0 : 1);
    if (def.check === 'number_format') bounds.whole = true;
    if (def.check === 'string_format' && def.pattern !== undefined)
      bounds.patterns.push(def.pattern);
  }
  return bounds;
}

function manyOf(random: Random, { min, max }: Bounds): number[] {
  const least = Math.max(0, min);
  const length = random.whole(least, Math.max(least, Math.min(max, MAX_ITEMS)));
  return Array.from({ length }, (_, index) => index);
}

function numberOf(def: z.core.$ZodTypeDef, random: Random): number {
  const { min, max, whole } = boundsOf(def);
  const from = Math.max(min, Number.MIN_SAFE_INTEGER);
  const to = Math.min(max, Number.MAX_SAFE_INTEGER);
  const near = Math.max(from, Math.min(to, 0));
  const made = random.pick([
    from,
    to,
    near,
    random.between(from, to),
    random.between(near, Math.min(to, near + 100)),
  ]);
  return whole ? Math.min(to, Math.max(from, Math.round(made))) : made;
}

const pools = new Map<string, readonly string[]>();

function textOf(def: z.core.$ZodTypeDef, random: Random, at: string): string {
  const { min, max, patterns } = boundsOf(def);
  const [pattern] = patterns;
  if (pattern !== undefined) return random.pick(poolOf(pattern, at));
  const least = Math.max(0, min);
  const length = random.whole(least, Math.max(least, Math.min(max, MAX_CHARS)));
  return Array.from({ length }, () => random.pick(CHARS)).join('');
}

/** The same strings in each run: the seed of the case picks among them. */
function poolOf(pattern: RegExp, at: string): readonly string[] {
  const found = pools.get(pattern.source);
  if (found !== undefined) return found;
  let made: string[];
  try {
    made = fc.sample(fc.stringMatching(pattern), { seed: 1, numRuns: POOL });
  } catch (error) {
    throw new NoGenerator(at, `nothing makes ${String(pattern)}: ${String(error)}`);
  }
  pools.set(pattern.source, made);
  return made;
}
