import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasCode } from '../../../../src/errors.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from '../../../../src/migration/direct/destination/destination.ts';
import {
  actOnSilence,
  askOnReturn,
  endWithSource,
  followOrder,
  isForsaken,
  type Hands,
} from '../../../../src/mover/direct/destination/silent-source.ts';
import type {
  Others,
  DestinationContext,
} from '../../../../src/mover/direct/destination/destination-context.ts';
import type { Admission } from '../../../../src/protocol/peer/migration.ts';
import { migrationSettings } from '../../../../src/protocol/public/migration.ts';
import type { SideView } from '../../../../src/protocol/public/resolve.ts';
import { COPY } from '../../../migration/direct/samples.ts';
import { ADMISSION, RECORDS } from '../../../model/events.ts';

const NOW = { bootId: 'boot-1', uptimeMs: 100_000 };

const complete = { type: 'hypervisor', event: { type: 'completed' } } as const;
const armed = [RECORDS.preparing, RECORDS.prepared, RECORDS.armed0];
const whole = [...armed, complete];
const running = [...whole, RECORDS.committed, RECORDS.running];

const COLD = { ...ADMISSION, settings: migrationSettings.parse({ mode: 'cold' }) };

function after(
  events: readonly DestinationEvent[],
  admission: Admission = ADMISSION,
): DestinationState {
  const first = { type: 'admitted', admission, host: 'b' } as const;
  return events.reduce(destinationAfter, initialDestination(first));
}

interface Scene {
  readonly hands: Hands;
  /** What was done, in order: records and deeds. */
  readonly deeds: string[];
}

function scene(
  events: readonly DestinationEvent[],
  others: Others = {},
  admission?: Admission,
): Scene {
  const deeds: string[] = [];
  let state = after(events, admission);
  const record = async (event: DestinationEvent): Promise<void> => {
    state = destinationAfter(state, event);
    deeds.push(event.type);
  };
  const hands: Hands = {
    context: { log: silentLog, others, bootTime: () => NOW } as unknown as DestinationContext,
    state: () => state,
    record,
    run: async () => {
      deeds.push('run');
      state = destinationAfter(state, RECORDS.running);
    },
    settle: async () => void deeds.push('settle'),
    release: async (_why, _signal, { known = false } = {}) => {
      if (known) deeds.push('known');
      deeds.push('release');
      await record({ type: 'released' });
    },
    runsHere: async () => state.hasRun,
    tearDown: async () => void deeds.push('tear-down'),
  };
  return { hands, deeds };
}

const view: SideView = {
  id: ADMISSION.id,
  guest: 'web1',
  host: 'a',
  side: 'source',
  epoch: ADMISSION.epoch,
  phase: 'failed',
  right: 'abandoned',
  hypervisor: 'unknown',
  complete: false,
  postcopy: false,
  unsure: false,
  moverAlive: false,
};
const says = (facts: Partial<SideView>): Others => ({
  askSource: async () => ({ isDark: false, view: { ...view, ...facts } }),
});
const dark: Others = { askSource: async () => ({ isDark: true }) };
const off: Others = { ...dark, fence: async () => ({ off: true, by: 'the hook' }) };
const unproved: Others = { ...dark, fence: async () => ({ off: false, why: 'no answer' }) };

/** It answers, and does not know the migration. */
const forgotten: Others = { askSource: async () => ({ isDark: false }) };

describe('a source that lost the migration', () => {
  const STATES = {
    'nothing was armed': { events: [RECORDS.preparing, RECORDS.prepared], deeds: ['release'] },
    armed: { events: armed, deeds: [] },
    'armed, with all of the guest': { events: whole, deeds: [] },
    'armed, and restarted': { events: [...whole, RECORDS.mayHaveRun], deeds: [] },
    running: { events: running, deeds: [] },
    'ran, and has ended': { events: [...running, RECORDS.lost], deeds: ['tear-down'] },
    refused: { events: [...whole, RECORDS.refused], deeds: ['release'] },
  };
  for (const [name, { events, deeds }] of Object.entries(STATES)) {
    test(`a source that lost the migration allows ${name}: ${deeds.length === 0 ? 'nothing' : deeds.join()}`, async () => {
      const { hands, deeds: done } = scene(events, forgotten);
      await actOnSilence(hands, 180_000);
      const seen = done.filter((deed) => ['release', 'settle', 'tear-down', 'run'].includes(deed));
      assert.deepEqual(seen, deeds);
    });
  }
});

describe('an unattended destination', () => {
  test('an unattended destination tears down a guest that its source took back without its word', async () => {
    const { hands, deeds } = scene(running, says({}));
    await actOnSilence(hands, 1);
    assert.deepEqual(deeds, ['overruled', 'release', 'released']);
  });

  test('an unattended destination keeps its guest if the closed epoch is another one', async () => {
    const { hands, deeds } = scene(running, says({ epoch: ADMISSION.epoch - 1 }));
    await actOnSilence(hands, 1);
    assert.deepEqual(deeds, ['settle']);
  });

  test("a cold guest that ran here before a power loss is settled on its source's answer", async () => {
    const committed = [...armed, RECORDS.committed];
    const ran = scene(committed, says({ phase: 'done', right: 'passed' }), COLD);
    await actOnSilence(ran.hands, 1);
    assert.deepEqual(ran.deeds, ['hypervisor', 'settle']);
    assert.equal(ran.hands.state().hasRun, true);
    for (const facts of [{ right: 'committing' as const }, { epoch: ADMISSION.epoch - 1 }]) {
      const open = scene(committed, says({ phase: 'done', right: 'passed', ...facts }), COLD);
      await actOnSilence(open.hands, 1);
      assert.deepEqual(open.deeds, [], JSON.stringify(facts));
    }
  });

  test('a cold guest that never ran is released once its source has given it up to a third host', async () => {
    const committed = [...armed, RECORDS.committed];
    const gaveUp = says({ phase: 'failed', right: 'committing' });
    const { hands, deeds } = scene(committed, gaveUp, COLD);
    await actOnSilence(hands, 1);
    assert.deepEqual(deeds, ['overruled', 'release', 'released']);
    // Copied images may have the guest's last writes.
    const preparation = { ...RECORDS.preparing.preparation, copies: [COPY] };
    const preparing = { ...RECORDS.preparing, preparation };
    const copied = [preparing, RECORDS.prepared, RECORDS.armed0, RECORDS.committed];
    const kept = scene(copied, gaveUp, COLD);
    await actOnSilence(kept.hands, 1);
    assert.deepEqual(kept.deeds, []);
    // One that has run here is not given up for that.
    const ran = scene([...committed, RECORDS.running], gaveUp, COLD);
    await actOnSilence(ran.hands, 1);
    assert.ok(!ran.deeds.includes('overruled'));
  });

  test('a guest that its source may yet take back on a proof is not settled, as it could be sent on', async () => {
    for (const phase of ['handover', 'undoing', 'held'] as const) {
      const { hands, deeds } = scene(running, says({ right: 'committing', phase }));
      await actOnSilence(hands, 1);
      assert.deepEqual(deeds, [], phase);
    }
    for (const facts of [{ phase: 'verifying', right: 'passed' }, { phase: 'done' }] as const) {
      const { hands, deeds } = scene(running, says({ right: 'committing', ...facts }));
      await actOnSilence(hands, 1);
      assert.deepEqual(deeds, ['settle'], facts.phase);
    }
  });

  test('a running guest is not settled while the source cannot be asked', async () => {
    const { hands, deeds } = scene(running, dark);
    await actOnSilence(hands, 1);
    assert.deepEqual(deeds, []);
    assert.equal(isForsaken(hands.state()), true);
  });

  test('a whole guest runs once its source is proved off, and is never given up without proof', async () => {
    const proved = scene(whole, off);
    await actOnSilence(proved.hands, 1);
    assert.deepEqual(proved.deeds, ['resolved', 'run']);
    assert.equal(proved.hands.state().right, 'running');
    const guess = scene(whole, unproved);
    await actOnSilence(guess.hands, 1);
    assert.deepEqual(guess.deeds, ['failed', 'release', 'released']);
    const half = scene(armed, off);
    await actOnSilence(half.hands, 1);
    assert.deepEqual(half.deeds, ['failed', 'release', 'released']);
  });

  test('a source that answers is not fenced', async () => {
    const fence = (): never => assert.fail('the hook was called');
    const { hands, deeds } = scene(whole, { ...says({ right: 'armed', phase: 'memory' }), fence });
    await actOnSilence(hands, 1);
    assert.deepEqual(deeds, ['failed', 'release', 'released']);
  });
});

describe("a destination's mover that takes over", () => {
  test('a mover that takes over releases at once a guest that its source has ended meanwhile', async () => {
    const { hands, deeds } = scene(whole, says({}));
    await askOnReturn(hands);
    assert.deepEqual(deeds, ['release', 'released']);
  });

  test('a mover that takes over continues if the source still does, is dark, or is held', async () => {
    const going = [
      says({ right: 'armed', phase: 'memory' }),
      says({ right: 'committing', phase: 'held' }),
    ];
    for (const others of [...going, dark, {}]) {
      const { hands, deeds } = scene(whole, others);
      await askOnReturn(hands);
      assert.deepEqual(deeds, []);
    }
  });
});

describe('a guest with an old proof', () => {
  const at = { bootId: 'boot-1', uptimeMs: 1 };
  const proved: DestinationEvent[] = [...whole, { ...RECORDS.resolved, ...at }];

  test('a guest with an old proof runs once its source is proved off again', async () => {
    const { hands, deeds } = scene(proved, off);
    await actOnSilence(hands, 1);
    assert.deepEqual(deeds, ['resolved', 'run']);
    assert.deepEqual(hands.state().proved?.at, NOW);
    const on = scene(proved, unproved);
    await actOnSilence(on.hands, 1);
    assert.deepEqual(on.deeds, []);
  });

  test("a guest with an old proof is run by an operator's new order", async () => {
    const { hands, deeds } = scene(proved);
    await followOrder(hands, { proof: 'operator', by: 'ann', runAt: 'destination' });
    assert.deepEqual(deeds, ['resolved', 'run']);
  });

  test("a guest that cannot be started is given up on an operator's order, for another host to start", async () => {
    const { hands, deeds } = scene(proved);
    await followOrder(hands, { proof: 'ask', by: 'ann', runAt: 'source' });
    assert.deepEqual(deeds, ['overruled', 'release', 'released']);
    const runs = scene(proved);
    const order = { proof: 'ask', by: 'ann', runAt: 'source' } as const;
    const ran = followOrder({ ...runs.hands, runsHere: async () => true }, order);
    await assert.rejects(ran, { code: 'GODWIT_RESOLVE_REFUSED' });
    assert.deepEqual(runs.deeds, []);
  });

  test("a guest with an old proof is run by its source's commit, which replaces the proof", () => {
    assert.equal(after([...proved, RECORDS.committed]).proved, undefined);
  });
});

describe("an operator's order with a dark source", () => {
  const order = { proof: 'operator', by: 'ann' } as const;

  test("an operator's order with a dark source runs the guest here, in the journal first", async () => {
    const { hands, deeds } = scene(whole);
    const answer = await followOrder(hands, { ...order, runAt: 'destination' });
    assert.deepEqual(deeds, ['resolved', 'run']);
    assert.equal(answer.proof, 'operator');
    await followOrder(hands, { ...order, runAt: 'destination' });
    assert.deepEqual(deeds, ['resolved', 'run']);
  });

  test("an operator's order is refused if the guest is partial, was refused, or lacks any proof", async () => {
    const refused = (events: readonly DestinationEvent[], proof: 'operator' | 'ask' = 'operator') =>
      assert.rejects(
        followOrder(scene(events).hands, { ...order, proof, runAt: 'destination' }),
        (thrown) => hasCode(thrown, 'GODWIT_RESOLVE_REFUSED'),
      );
    await refused(armed);
    await refused([...whole, RECORDS.refused]);
    await refused(whole, 'ask');
  });

  test("an operator's order gives the guest up, but never one that runs here", async () => {
    const { hands, deeds } = scene(whole);
    await followOrder(hands, { ...order, runAt: 'source' });
    assert.deepEqual(deeds, ['release', 'released']);
    await assert.rejects(
      followOrder(scene(running).hands, { ...order, runAt: 'source' }),
      (thrown) => hasCode(thrown, 'GODWIT_RESOLVE_REFUSED'),
    );
  });
});

describe('a destination whose source has ended', () => {
  test('a destination ends with its source: it releases, or tears down the remains', async () => {
    const stayed = scene(armed, says({ phase: 'failed' }));
    await endWithSource(stayed.hands);
    assert.deepEqual(stayed.deeds, ['known', 'release', 'released']);
    const gone = scene(armed, says({ phase: 'lost' }));
    await endWithSource(gone.hands);
    assert.deepEqual(gone.deeds, ['release', 'released']);
    const thin = { type: 'hypervisor', event: { type: 'postcopy-active' } } as const;
    const lost = scene(
      [...armed, thin, RECORDS.committed, RECORDS.running],
      says({ phase: 'lost' }),
    );
    await endWithSource(lost.hands);
    assert.deepEqual(lost.deeds, ['tear-down']);
  });

  test('a destination does nothing on an answer about another epoch, or without an answer', async () => {
    for (const others of [says({ phase: 'failed', epoch: 7 }), dark, {}]) {
      const one = scene(armed, others);
      await endWithSource(one.hands);
      assert.deepEqual(one.deeds, []);
    }
  });
});
