import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AskedSizes } from '../../../src/controller/engine/guest-sizes.ts';
import type { GuestSizesDependencies } from '../../../src/controller/engine/guest-sizes.ts';
import type { WishAsk } from '../../../src/protocol/controller/wish.ts';
import type { LinkMeasure } from '../../../src/protocol/public/prediction.ts';
import type { planAnswer } from '../../../src/protocol/public/plan.ts';
import type { z } from 'zod';
import { godwitError } from '../../../src/errors.ts';
import { wayOf } from '../plan-ways.ts';

const ASK: WishAsk = { kind: 'evacuate', hosts: ['a'], priority: 0, settings: { streams: 1 } };
const guest = (name: string) => ({ guest: name, from: 'a', to: 'b' });

type Answer = Pick<z.infer<typeof planAnswer>, 'prediction' | 'others' | 'link'>;

type Body = { readonly guest: string; readonly to: string; readonly link?: LinkMeasure };

/** Agents that answer so, and what they were asked. */
function agents(answer: (guest: string) => Answer) {
  const asked: Body[] = [];
  let atOnce = 0;
  let most = 0;
  const plan = async ({ body }: { body: Body }): Promise<Answer> => {
    asked.push(body);
    most = Math.max(most, (atOnce += 1));
    await Promise.resolve();
    atOnce -= 1;
    return answer(body.guest);
  };
  const at = (host: string) => (['a', 'c', 'd', 'e'].includes(host) ? { plan } : undefined);
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  const clients = { at } as unknown as GuestSizesDependencies['clients'];
  return { sizes: new AskedSizes({ clients, clock }), asked, pass, most: () => most };
}

test('asks each guest’s own host, a few at a time, and leaves those out that cannot be measured', async () => {
  const { sizes, asked, most } = agents((name) => {
    if (name === 'g3') throw godwitError('GODWIT_USAGE', { what: 'it has no such limits' });
    return name === 'g4' ? {} : { prediction: wayOf({ bytes: 1000 }) };
  });
  const names = ['g1', 'g2', 'g3', 'g4', 'g5', 'g6'];
  const found = await sizes.of([...names.map(guest), { ...guest('far'), from: 'z' }], ASK);
  assert.deepEqual(Object.keys(found).toSorted(), ['g1', 'g2', 'g5', 'g6']);
  assert.deepEqual(found['g1'], { precopyBytes: 1000 });
  assert.deepEqual(asked.map((each) => each.guest).toSorted(), names);
  assert.ok(asked.every((each) => each.to === 'b'));
  assert.equal(most(), 2);
});

test('a guest whose host has as many checks as it takes is asked for again, and none is left out by that', async () => {
  const [refused, names] = [new Set<string>(), ['g1', 'g2', 'g3', 'g4', 'g5']];
  const { sizes, asked } = agents((name) => {
    const isFirst = !refused.has(name);
    refused.add(name);
    if (isFirst) throw godwitError('GODWIT_OVERLOADED', { what: 'checks', limit: 4 });
    return { prediction: wayOf({ bytes: 1000 }) };
  });
  const found = await sizes.of(names.map(guest), ASK);
  assert.deepEqual(Object.keys(found).toSorted(), names);
  assert.equal(asked.length, 2 * names.length);
});

describe('guests of several hosts', () => {
  const LINE = { rate: 12_500_000, how: 'measured', roundTripMs: 50 } as const;
  const names = ['g1', 'g2', 'g3', 'g4', 'g5'];
  const hosts = ['a', 'a', 'c', 'd', 'e'];
  const spread = names.map((name, index) => ({ ...guest(name), from: hosts[index] ?? '' }));

  test('have the line measured by one host alone, and the others are told what it measured', async () => {
    const { sizes, asked } = agents(() => ({
      prediction: wayOf({ bytes: 1000 }),
      link: LINE,
    }));
    const found = sizes.of(spread, ASK);
    // Nothing else is asked before the one that measures has answered.
    assert.deepEqual(
      asked.map((each) => each.guest),
      ['g1'],
    );
    assert.deepEqual(Object.keys(await found).toSorted(), names);
    assert.equal(asked.length, names.length);
    assert.deepEqual(
      Object.fromEntries(asked.map(({ guest: name, link }) => [name, link?.rate])),
      Object.fromEntries(names.map((name) => [name, name === 'g1' ? undefined : LINE.rate])),
    );
  });

  test('are told of no line that nobody measured just now, or that carries nothing', async () => {
    for (const link of [
      { ...LINE, how: 'seen' as const },
      { ...LINE, rate: 0 },
    ]) {
      const { sizes, asked } = agents(() => ({ prediction: wayOf({ bytes: 1000 }), link }));
      await sizes.of(spread, ASK);
      assert.ok(asked.every((each) => each.link === undefined));
    }
  });

  test('take turns at the line while hosts cannot measure it, and go on without it after three', async () => {
    const { sizes, asked } = agents((name) => {
      if (name === 'g1') throw godwitError('GODWIT_OVERLOADED', { what: 'checks', limit: 4 });
      if (name === 'g3') throw godwitError('GODWIT_USAGE', { what: 'it has no such limits' });
      return { prediction: wayOf({ bytes: 1000 }) };
    });
    await sizes.of(spread.slice(1), ASK);
    assert.deepEqual(
      asked.slice(0, 3).map((each) => each.guest),
      ['g2', 'g3', 'g4'],
    );
    assert.ok(asked.every(({ link }) => link === undefined));
    assert.deepEqual(asked.map((each) => each.guest).toSorted(), ['g2', 'g3', 'g4', 'g5']);
  });
});

test('what was measured with other settings is measured again', async () => {
  const { sizes, asked } = agents(() => ({ prediction: wayOf({ bytes: 1000 }) }));
  await sizes.of([guest('g1')], ASK);
  await sizes.of([guest('g1')], { ...ASK, settings: { streams: 4 } });
  assert.equal(asked.length, 2);
});

test('a plan that is looked at and then asked for rests on the same measurements, for ten minutes', async () => {
  let bytes = 1000;
  const { sizes, pass } = agents(() => ({ prediction: wayOf({ bytes }) }));
  const first = await sizes.of([guest('g1')], ASK);
  bytes = 2000;
  assert.deepEqual(await sizes.of([guest('g1')], ASK), first);
  pass(600_000);
  assert.deepEqual(await sizes.of([guest('g1')], ASK), { g1: { precopyBytes: 2000 } });
});
