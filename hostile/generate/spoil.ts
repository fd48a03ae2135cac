import fc from 'fast-check';
import type { Random } from '../../sim/random.ts';
import { mutate, mutations } from '../../test/drivers/qemu/spec/grammar/hostile.ts';
import type { Facts } from '../facts.ts';

/** Makes of something that a host would say what no host should. */

/** Of a list that grows: beyond what any message may hold. */
const MANY = 5000;
/** Chars of a text that is too long for most fields, and short enough for a body. */
const LONG = 100_000;

/** One to three changes: values of other kinds, other keys, parts doubled or exchanged, and files of the host. */
export function spoiled(value: unknown, random: Random, facts: Facts): unknown {
  const [changes = []] = fc.sample(mutations, { seed: random.whole(0, 2 ** 31 - 1), numRuns: 1 });
  const place = random.whole(0, 100_000);
  const trap = { place, way: 'replace' as const, key: 'path', value: random.pick(facts.paths) };
  const given = random.chance(0.3) ? [...changes, trap] : changes;
  // Copied between two changes: what is put in twice must not become a ring, which is no JSON.
  let made: { value?: unknown } = { value };
  for (const change of given) {
    made = JSON.parse(JSON.stringify(mutate(made, [change]))) as { value?: unknown };
  }
  return random.chance(0.03) ? swollen(made.value, random) : made.value;
}

/** Something in it is too large. */
function swollen(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null) return 'x'.repeat(LONG);
  const keys = Object.keys(value);
  if (keys.length === 0) return Array.from({ length: MANY }, () => 0);
  const key = random.pick(keys);
  const held = (value as Record<string, unknown>)[key];
  const large = Array.isArray(held)
    ? Array.from({ length: MANY }, () => (held as unknown[])[0] ?? null)
    : 'x'.repeat(LONG);
  return { ...value, [key]: large };
}

/** A value as a part of a path or a query: also such that would lead elsewhere, where somebody takes it for a path. */
export function spoiledWord(random: Random, facts: Facts): string {
  const trap = random.pick(facts.paths);
  return random.pick([
    '..',
    '../../../../etc/passwd',
    trap,
    `../../${trap}`,
    '%2e%2e%2f%2e%2e%2fetc%2fshadow',
    'm-00000001%00.json',
    'm-0000000\u00001',
    '',
    '.',
    '__proto__',
    'constructor',
    'x'.repeat(3000),
    '-1',
    '1e309',
    'NaN',
    'm-ÅÅÅÅÅÅÅÅ',
  ]);
}
