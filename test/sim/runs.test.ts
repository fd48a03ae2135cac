import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runScenario, type Result } from '../../sim/run.ts';
import { drawScenario, type Deed, type Fault } from '../../sim/scenario.ts';
import { shrink } from '../../sim/shrink.ts';
import { FOUND, scenario } from './scenarios.ts';

/** A part of what `npm run sim` runs: from the first seed on. */
const RUNS = 150;

describe('a simulated migration', () => {
  for (const mode of ['precopy', 'postcopy', 'hybrid'] as const) {
    test(`a simulated migration without faults moves the guest and leaves nothing behind: ${mode}`, async () => {
      const { outcome, violation, leftovers } = await runScenario(scenario({ mode }));
      assert.deepEqual([outcome, violation, leftovers], ['done', undefined, []]);
    });
  }

  test('a simulated migration that the destination refuses does not harm the guest', async () => {
    const { outcome, violation, longestStillMs } = await runScenario(scenario({ refused: true }));
    assert.deepEqual([outcome, violation, longestStillMs], ['failed', undefined, 0]);
  });

  test('a simulated migration that the user cancels while memory moves does not harm the guest', async () => {
    const when = { at: 'stream', state: 'active', afterMs: 50 } as const;
    const faults = [{ when, deed: { kind: 'cancel' } }] as const;
    const { outcome, violation, longestStillMs } = await runScenario(scenario({ faults }));
    assert.deepEqual([outcome, violation, longestStillMs], ['cancelled', undefined, 0]);
  });

  for (const mode of ['postcopy', 'hybrid'] as const) {
    test(`a simulated migration stops no guest for post-copy to a dead mover: ${mode}`, async () => {
      const when = { at: 'stream', state: 'active', afterMs: 0 } as const;
      const faults = [{ when, deed: { kind: 'kill mover', host: 'b' } }] as const;
      for (let noise = 1; noise <= 10; noise += 1) {
        const given = scenario({ noise, mode, dirtyMiB: 8000, faults });
        const { outcome, violation, longestStillMs } = await runScenario(given);
        assert.deepEqual([outcome, violation], ['done', undefined]);
        // The way back to a mover takes 250 ms and more.
        assert.ok(longestStillMs < 100, `${longestStillMs} ms`);
      }
    });
  }

  test('a simulated migration keeps every rule under random faults', async (t) => {
    const outcomes = new Set<string>();
    let recovered = 0;
    let resolved = 0;
    for (let seed = 1; seed <= RUNS; seed += 1) {
      const { outcome, violation, ...found } = await runScenario(drawScenario(seed));
      outcomes.add(outcome);
      recovered += found.recoveredAt.length;
      if (found.wasResolved) resolved += 1;
      if (violation !== undefined) {
        const least = JSON.stringify(await shrink(drawScenario(seed)));
        assert.fail(`seed ${seed}: ${violation.rule}\nas a scenario: ${least}`);
      }
    }
    t.diagnostic(`ends: ${[...outcomes].join(', ')}`);
    for (const outcome of ['done', 'failed', 'cancelled', 'held', 'lost']) {
      assert.ok(outcomes.has(outcome), `no run ended as ${outcome}`);
    }
    assert.ok(recovered > 0, 'no run recovered a guest');
    assert.ok(resolved > 0, 'no held migration was resolved');
  });
});

describe('a simulated recovery', () => {
  const cancelled: Fault = {
    when: { at: 'stream', state: 'active', afterMs: 0 },
    deed: { kind: 'cancel' },
  };
  const recover: Deed = { kind: 'recover', host: 'c', from: 'a' };
  const at = (ms: number, deed: Deed): Fault => ({ when: { at: 'time', ms }, deed });

  test('a simulated recovery starts the guest of a host without power, and the host later accepts that', async () => {
    const when = { at: 'stream', state: 'stopped', afterMs: 0.5 } as const;
    const lost: Deed = { kind: 'power loss', host: 'a', forMs: 300_000 };
    const faults = [{ when, deed: lost }, at(240_000, recover)];
    const given = scenario({ fleet: true, mode: 'cold', faults });
    const { outcome, violation, recoveredAt } = await runScenario(given, true);
    assert.deepEqual([outcome, violation, recoveredAt], ['failed', undefined, ['c']]);
  });

  test('a simulated recovery fences a host that is only cut off, before it starts the guest', async () => {
    const isolated: Deed = { kind: 'isolated', host: 'a', forMs: 60_000 };
    const faults = [cancelled, at(5000, isolated), at(10_000, recover)];
    const given = scenario({ fleet: true, linkMiB: 400, memoryMiB: 512, faults });
    const { violation, recoveredAt, story } = await runScenario(given, true);
    assert.deepEqual([violation, recoveredAt], [undefined, ['c']]);
    assert.match(story.join('\n'), /a is turned off[^]*the hypervisor on c says: resumed/);
  });

  test("a simulated recovery starts nothing while the guest's host answers, or another host runs it", async () => {
    const off: Deed = { kind: 'power loss', host: 'a', forMs: 60_000 };
    for (const faults of [
      [cancelled, at(5000, recover)],
      [at(20_000, off), at(30_000, recover)],
    ]) {
      const given = scenario({ fleet: true, faults });
      const { violation, recoveredAt } = await runScenario(given);
      assert.deepEqual([violation, recoveredAt], [undefined, []]);
    }
  });
});

/** All that a run can be distinguished by. */
function trail({ outcome, journals, story, virtualMs, jobs }: Result): unknown[] {
  return [outcome, journals.a, journals.b, story, virtualMs, jobs];
}

test('a seed repeats its run, byte for byte, whatever ran before', async () => {
  const seeds = [3, 14, 15, 92, 65, 35, 89, 79];
  const first = [];
  for (const seed of seeds) first.push(trail(await runScenario(drawScenario(seed), true)));
  const again = [];
  for (const seed of seeds.toReversed()) {
    again.unshift(trail(await runScenario(drawScenario(seed), true)));
  }
  assert.deepEqual(again, first);
});

test('tracing a run does not change it', async () => {
  const reported = await runScenario(drawScenario(92), true);
  const unreported = await runScenario(drawScenario(92));
  assert.deepEqual(unreported.journals, reported.journals);
  assert.deepEqual([unreported.story.length, reported.story.length > 10], [0, true]);
});

describe('regression scenarios', () => {
  for (const { what, scenario: found } of FOUND) {
    test(what, async () => {
      const { violation, story } = await runScenario(found, true);
      assert.equal(violation, undefined, story.join('\n'));
    });
  }
});
