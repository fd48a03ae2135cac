import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AskedSizes,
  type GuestSizesDependencies,
} from '../../../src/controller/engine/guest-sizes.ts';
import type { FleetRequestAsk } from '../../../src/protocol/controller/fleet-request.ts';
import type { LinkMeasure } from '../../../src/protocol/public/prediction.ts';
import type { planAnswer } from '../../../src/protocol/public/plan.ts';
import type { z } from 'zod';
import { godwitError } from '../../../src/errors.ts';
import { optionOf } from '../plan-options.ts';

const ASK: FleetRequestAsk = {
  kind: 'evacuate',
  hosts: ['a'],
  priority: 0,
  settings: { streams: 1 },
};
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

test("each guest's own host is asked, a few at a time, and guests that cannot be measured are left out", async () => {
  const { sizes, asked, most } = agents((name) => {
    if (name === 'g3') throw godwitError('GODWIT_USAGE', { what: 'it has no such limits' });
    return name === 'g4' ? {} : { prediction: optionOf({ bytes: 1000 }) };
  });
  const names = ['g1', 'g2', 'g3', 'g4', 'g5', 'g6'];
  const { sizes: found } = await sizes.of(
    [...names.map(guest), { ...guest('far'), from: 'z' }],
    ASK,
  );
  assert.deepEqual(Object.keys(found).toSorted(), ['g1', 'g2', 'g5', 'g6']);
  assert.deepEqual(found['g1'], { precopyBytes: 1000 });
  assert.deepEqual(asked.map((each) => each.guest).toSorted(), names);
  assert.ok(asked.every((each) => each.to === 'b'));
  assert.equal(most(), 2);
});

test('a guest whose host is at its limit of checks is asked for again, and none is left out for that reason', async () => {
  const [refused, names] = [new Set<string>(), ['g1', 'g2', 'g3', 'g4', 'g5']];
  const { sizes, asked } = agents((name) => {
    const isFirst = !refused.has(name);
    refused.add(name);
    if (isFirst) throw godwitError('GODWIT_OVERLOADED', { what: 'checks', limit: 4 });
    return { prediction: optionOf({ bytes: 1000 }) };
  });
  const { sizes: found } = await sizes.of(names.map(guest), ASK);
  assert.deepEqual(Object.keys(found).toSorted(), names);
  assert.equal(asked.length, 2 * names.length);
});

describe('guests of several hosts', () => {
  const LINE = { rate: 12_500_000, how: 'measured', roundTripMs: 50 } as const;
  const names = ['g1', 'g2', 'g3', 'g4', 'g5'];
  const hosts = ['a', 'a', 'c', 'd', 'e'];
  const spread = names.map((name, index) => ({ ...guest(name), from: hosts[index] ?? '' }));

  /** What each host says that it measured, by the guest that is asked about: g1 of a, g3 of c, g4 of d, g5 of e. */
  const measuredBy = (rates: Readonly<Record<string, number>>) => (name: string) => {
    const rate = rates[name];
    const link = rate === undefined ? {} : { link: { ...LINE, rate } };
    return { prediction: optionOf({ bytes: 1000 }), ...link };
  };

  test('the line is measured by three hosts in turn, and the other hosts get the median', async () => {
    const [honest, lie] = [LINE.rate, 1e12];
    const { sizes, asked, most } = agents(measuredBy({ g1: lie, g3: honest, g4: honest + 1 }));
    const { sizes: found, line } = await sizes.of(spread, ASK);
    assert.deepEqual(Object.keys(found).toSorted(), names);
    assert.deepEqual(
      asked.slice(0, 3).map((each) => [each.guest, each.link]),
      ['g1', 'g3', 'g4'].map((name) => [name, undefined]),
    );
    assert.ok(most() <= 2);
    assert.ok(asked.slice(3).every(({ link }) => link?.rate === honest + 1));
    assert.deepEqual(line, { bytesPerS: honest + 1, roundTripMs: 50, by: ['a', 'c', 'd'] });
    // What is looked at and then asked for rests on the same, and is measured once.
    assert.deepEqual((await sizes.of(spread, ASK)).line, line);
    assert.equal(asked.length, names.length);
  });

  test('the more careful of two hosts decides, and never above the rate in the map of sites', async () => {
    const two = agents(measuredBy({ g1: 1e12, g3: LINE.rate }));
    assert.equal((await two.sizes.of(spread.slice(0, 3), ASK)).line?.bytesPerS, LINE.rate);
    assert.ok(two.asked.slice(2).every(({ link }) => link?.rate === LINE.rate));
    const one = agents(measuredBy({ g1: 1e12 }));
    const map = { between: ['s1', 's2'] as [string, string], bytesPerS: 1e7, roundTripMs: 90 };
    const { line } = await one.sizes.of(spread, ASK, { ...map, costPerGb: 0 });
    assert.deepEqual(line, { bytesPerS: 1e7, roundTripMs: 90, by: ['a'] });
  });

  test("the guests of a single host rest on that host's measurement, which is not sent to it", async () => {
    const { sizes, asked } = agents(measuredBy({ g1: LINE.rate, g2: LINE.rate }));
    const { line } = await sizes.of(spread.slice(0, 2), ASK);
    assert.deepEqual(line, { bytesPerS: LINE.rate, roundTripMs: 50, by: ['a'] });
    assert.ok(asked.every(({ link }) => link === undefined));
  });

  test("a host's earlier measurement for itself is not used", async () => {
    const [honest, lie] = [LINE.rate, 1e12];
    const { sizes } = agents(measuredBy({ g1: lie, g2: lie, g3: honest, g4: honest + 1 }));
    assert.deepEqual((await sizes.of(spread.slice(0, 2), ASK)).line?.by, ['a']);
    const { line } = await sizes.of(spread, ASK);
    assert.deepEqual(line, { bytesPerS: honest + 1, roundTripMs: 50, by: ['a', 'c', 'd'] });
    const alone = agents(measuredBy({ g1: lie, g3: honest }));
    await alone.sizes.of(spread.slice(0, 1), ASK);
    assert.equal((await alone.sizes.of(spread.slice(2, 3), ASK)).line?.bytesPerS, honest);
  });

  test('the line is measured by three hosts even if others cannot measure it', async () => {
    const [honest, lie] = [LINE.rate, 1e12];
    const { sizes, asked } = agents(measuredBy({ g1: lie, g4: honest, g5: honest + 1 }));
    const { line } = await sizes.of(spread, ASK);
    assert.deepEqual(line, { bytesPerS: honest + 1, roundTripMs: 50, by: ['a', 'd', 'e'] });
    const before = asked.length;
    assert.deepEqual((await sizes.of(spread, ASK)).line, line);
    assert.equal(asked.length, before);
  });

  test('no line is announced without a fresh measurement, or if it carries nothing', async () => {
    for (const link of [
      { ...LINE, how: 'seen' as const },
      { ...LINE, rate: 0 },
    ]) {
      const { sizes, asked } = agents(() => ({ prediction: optionOf({ bytes: 1000 }), link }));
      assert.equal((await sizes.of(spread, ASK)).line, undefined);
      assert.ok(asked.every((each) => each.link === undefined));
    }
  });

  test('hosts take turns at the line, and continue without it if none of three can measure it', async () => {
    const { sizes, asked } = agents((name) => {
      if (name === 'g1') throw godwitError('GODWIT_OVERLOADED', { what: 'checks', limit: 4 });
      if (name === 'g3') throw godwitError('GODWIT_USAGE', { what: 'it has no such limits' });
      return { prediction: optionOf({ bytes: 1000 }) };
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

test('a measurement with other settings is repeated', async () => {
  const { sizes, asked } = agents(() => ({ prediction: optionOf({ bytes: 1000 }) }));
  await sizes.of([guest('g1')], ASK);
  await sizes.of([guest('g1')], { ...ASK, settings: { streams: 4 } });
  assert.equal(asked.length, 2);
});

test('a plan and its later request rest on the same measurements for ten minutes', async () => {
  let bytes = 1000;
  const { sizes, pass } = agents(() => ({ prediction: optionOf({ bytes }) }));
  const first = await sizes.of([guest('g1')], ASK);
  bytes = 2000;
  assert.deepEqual(await sizes.of([guest('g1')], ASK), first);
  pass(600_000);
  assert.deepEqual((await sizes.of([guest('g1')], ASK)).sizes, { g1: { precopyBytes: 2000 } });
});
