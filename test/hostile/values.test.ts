import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { NoGenerator, validOf } from '../../hostile/generate/values.ts';
import { wordsOf } from '../../hostile/generate/known-names.ts';
import { Random } from '../../sim/random.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { moverContract } from '../../src/protocol/mover/contract.ts';
import { peerContract } from '../../src/protocol/peer/contract.ts';
import type { Contract, Route } from '../../src/protocol/route.ts';
import { factsOf } from './facts.ts';

const CONTRACTS: [string, Contract][] = [
  ['agent', agentContract],
  ['mover', peerContract],
  ['own mover', moverContract],
];
const TIMES = 10;
const PARTS = ['params', 'query', 'body', 'response'] as const;
const making = (seed: number) => ({
  random: new Random(seed),
  words: wordsOf(factsOf(), { id: 'm-00000009', guest: 'own1' }),
});

describe('values generated from a schema', () => {
  test('every message of every route has generated values, and its schema accepts them', () => {
    for (const [name, contract] of CONTRACTS) {
      for (const [key, route] of Object.entries<Route>(contract)) {
        for (const part of PARTS) {
          const schema = route[part];
          for (let seed = 0; schema !== undefined && seed < TIMES; seed += 1) {
            const made = validOf(schema, making(seed), `${name}.${key}.${part}`);
            assert.ok(schema.safeParse(made).success, `${name}.${key}.${part}`);
          }
        }
      }
    }
  });

  test('generated values are the same for the same seed', () => {
    const { body } = peerContract.prepare;
    const made = (): unknown => validOf(body, making(5), 'prepare');
    assert.deepEqual(made(), made());
  });

  test('generated values fail if a kind of schema has no generator, or a refinement refuses them all', () => {
    assert.throws(() => validOf(z.instanceof(Date), making(1), 'when'), NoGenerator);
    const never = z.string().refine(() => false, 'never');
    assert.throws(() => validOf(z.object({ a: never }), making(1), 'it'), /it: .*never/);
  });
});
