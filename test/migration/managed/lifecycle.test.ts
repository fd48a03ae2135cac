import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { STEP_NAMES, type ManagedEvent } from '../../../src/migration/managed/events.ts';
import {
  canCancel,
  effectsOf,
  initialManaged,
  managedPhase,
  managedTransition,
  MISSES,
  pauseMs,
  POINT_OF_NO_RETURN,
  STEPS,
  SURE,
  type ManagedEffect,
} from '../../../src/migration/managed/lifecycle.ts';
import {
  managedMayBeAsked,
  managedRunsAt,
  type ManagedState,
} from '../../../src/migration/managed/state.ts';
import { anyEvent, anyPlanned, error, planned } from './samples.ts';

const did = (step: 'inspect' | 'check' | 'prepare' | 'finish'): ManagedEvent => ({
  type: 'did',
  step,
  facts: {},
});
const saw = (state: 'none' | 'running' | 'done' | 'cancelled'): ManagedEvent => {
  return { type: 'saw', task: { state } };
};
const found = (at: 'source' | 'destination', busy = false): ManagedEvent => {
  return { type: 'found', where: { at, busy } };
};
const none = (times: number): ManagedEvent[] => Array.from({ length: times }, () => saw('none'));
const copies = [{ name: 'vda', file: '/d/web1.raw', format: 'raw', sizeBytes: 1, place: 'd' }];
const toPrepare = [did('inspect'), { type: 'did', step: 'check', facts: { copies } }] as const;
const held = (...steps: readonly ('watch' | 'verify')[]): ManagedEvent[] =>
  steps.map((step) => ({ type: 'timeout', step, afterMs: 1 }));
const toStart = [did('inspect'), did('check'), { type: 'ordered' }] as const;
const BEFORE_ORDER = STEP_NAMES.slice(0, STEP_NAMES.indexOf(POINT_OF_NO_RETURN));

function after(...events: readonly ManagedEvent[]): ManagedState {
  let { state } = initialManaged(planned());
  for (const event of events) state = managedTransition(state, event).state;
  return state;
}

const outcomeOf = ({ doing, because }: ManagedState): string => {
  if (doing.kind === 'undo') {
    return `undoing: ${because?.code === 'GODWIT_CANCELLED' ? 'cancelled' : 'failed'}`;
  }
  return doing.kind === 'end' ? doing.outcome : doing.step;
};

describe('the life of a managed migration', () => {
  test('a managed migration is done once the manager reports that the guest is at the destination', () => {
    const all = after(
      ...toStart,
      { type: 'accepted' },
      saw('running'),
      saw('done'),
      found('destination'),
    );
    assert.equal(outcomeOf(all), 'finish');
    assert.equal(outcomeOf(managedTransition(all, did('finish')).state), 'done');
  });

  test('a managed migration waits for an inventory that lags behind, and is held if it never agrees', () => {
    const lags = Array.from({ length: 20 }, () => found('source'));
    const waits = after(...toStart, { type: 'accepted' }, saw('done'), ...lags);
    assert.equal(outcomeOf(waits), 'verify');
    const held = managedTransition(waits, { type: 'timeout', step: 'verify', afterMs: 1 }).state;
    assert.equal(outcomeOf(held), 'held');
    assert.equal(held.because?.code, 'GODWIT_TASK_UNKNOWN');
    assert.equal(managedRunsAt(held), 'unknown');
  });

  test('an error before the order ends the migration, and one after the order decides nothing', () => {
    const before = [did('inspect'), did('check')];
    const failed = {
      type: 'failed',
      step: 'start',
      error: { ...error, retryable: false },
    } as const;
    assert.equal(outcomeOf(after(...before, failed)), 'failed');
    assert.equal(outcomeOf(after(...before, { ...failed, error })), 'start');
    assert.equal(outcomeOf(after(...toStart, failed)), 'start');
  });

  test('an order that was not answered may still begin a task, until it has settled', () => {
    const open = [...toStart, { type: 'unanswered', error } as const, saw('none'), saw('none')];
    assert.equal(outcomeOf(after(...open)), 'watch');
    const settled = [...open, { type: 'settled' } as const, ...none(MISSES)];
    assert.equal(outcomeOf(after(...settled)), 'verify');
    const rests = after(...settled, ...Array.from({ length: SURE }, () => found('source')));
    assert.equal(outcomeOf(rests), 'failed');
    assert.equal(rests.because?.code, 'GODWIT_TASK_FAILED');
    assert.equal(managedRunsAt(rests), 'source');
  });

  test('a new mover looks for the order of a dead mover, and sends none', () => {
    const { state, effects } = managedTransition(after(...toStart), { type: 'taken-over', pid: 1 });
    assert.equal(outcomeOf(state), 'watch');
    assert.deepEqual(effects, [{ type: 'do', step: 'watch' }]);
  });

  test("a task that the manager no longer lists is decided by the guest's location", () => {
    const forgot = [...toStart, { type: 'accepted' } as const, ...none(MISSES)];
    assert.equal(outcomeOf(after(...forgot, found('destination'))), 'finish');
    assert.equal(
      outcomeOf(after(...forgot, found('source', true), found('source', true))),
      'verify',
    );
    assert.equal(outcomeOf(after(...forgot, found('source'), found('source'))), 'failed');
  });

  test('images that were not removed in time are named', () => {
    const ended = after(
      ...toPrepare,
      did('prepare'),
      { type: 'ordered' },
      { type: 'accepted' },
      saw('done'),
      found('destination'),
      { type: 'timeout', step: 'finish', afterMs: 30_000 },
    );
    assert.equal(outcomeOf(ended), 'done');
    assert.match(ended.leftovers[0]?.message ?? '', /may be left at a: \/d\/web1\.raw/);
  });

  test('a cancel before the order ends the migration; after it, the manager is asked and may be too late', () => {
    assert.equal(outcomeOf(after(did('inspect'), { type: 'cancel' })), 'cancelled');
    const asked = [...toStart, { type: 'accepted' } as const, { type: 'cancel' } as const];
    const asking = managedTransition(after(...asked.slice(0, -1)), { type: 'cancel' });
    assert.deepEqual(asking.effects, [{ type: 'ask-to-end' }]);
    const stopped = after(...asked, saw('cancelled'), found('source'), found('source'));
    assert.equal(outcomeOf(stopped), 'cancelled');
    const late = after(...asked, saw('done'), found('destination'), did('finish'));
    assert.equal(outcomeOf(late), 'done');
    assert.equal(late.because, undefined);
  });

  test('once the guest runs at its destination a cancel is too late', () => {
    const task = { state: 'running', postcopy: true } as const;
    const state = after(...toStart, { type: 'accepted' }, { type: 'saw', task });
    assert.equal(canCancel(state), false);
    assert.deepEqual(managedTransition(state, { type: 'cancel' }), { state, effects: [] });
    // What is seen later takes it not back.
    assert.equal(
      canCancel(after(...toStart, { type: 'accepted' }, { type: 'saw', task }, saw('running'))),
      false,
    );
  });

  test('a managed migration is not asked to end once its guest has switched, however long it takes', () => {
    const switched = { type: 'saw', task: { state: 'running', postcopy: true } } as const;
    const watched = after(...toStart, { type: 'accepted' }, saw('running'));
    // The watch goes on: its session has heard what nobody is told again.
    const atSwitch = managedTransition(watched, switched);
    assert.deepEqual(atSwitch.effects, [{ type: 'time', step: 'watch' }]);
    assert.deepEqual(managedTransition(atSwitch.state, switched).effects, []);
    const begun = after(...toStart, { type: 'accepted' }, switched);
    const late = { type: 'timeout', step: 'watch', afterMs: 1 } as const;
    const { state, effects } = managedTransition(begun, late);
    assert.deepEqual([outcomeOf(state), state.cancelling], ['verify', false]);
    assert.deepEqual(effects, [{ type: 'do', step: 'verify' }]);
    const before = after(...toStart, { type: 'accepted' }, saw('running'));
    const asked = managedTransition(before, late);
    assert.deepEqual(asked.effects, [{ type: 'ask-to-end' }]);
  });

  test('a managed migration prepares only copied disks, and undoes that before it ends at the source', () => {
    const sure = [found('source'), found('source')];
    const ordered = [...toPrepare, did('prepare'), { type: 'ordered' }] as const;
    assert.equal(outcomeOf(after(did('inspect'), did('check'))), 'start');
    assert.equal(outcomeOf(after(...toPrepare)), 'prepare');
    assert.equal(outcomeOf(after(...toPrepare, did('prepare'))), 'start');
    const ends: readonly [string, readonly ManagedEvent[]][] = [
      ['undoing: cancelled', [...toPrepare, { type: 'cancel' }]],
      ['undoing: failed', [...toPrepare, { type: 'timeout', step: 'prepare', afterMs: 1 }]],
      ['undoing: failed', [...ordered, { type: 'refused', error }]],
      ['undoing: failed', [...ordered, { type: 'accepted' }, saw('cancelled'), ...sure]],
      ['held', [...ordered, { type: 'accepted' }, ...held('watch', 'watch', 'verify')]],
      [
        'done',
        [...ordered, { type: 'accepted' }, saw('done'), found('destination'), did('finish')],
      ],
    ];
    for (const [end, events] of ends) assert.equal(outcomeOf(after(...events)), end);
  });

  test('an undo continues until it is reported done, whichever mover takes over, and names leftovers', () => {
    const undoing = [...toPrepare, did('prepare'), { type: 'cancel' } as const];
    const over = managedTransition(after(...undoing), { type: 'taken-over', pid: 1 });
    assert.deepEqual(over.effects, [{ type: 'undo', step: 'prepare' }]);
    assert.equal(canCancel(over.state), false);
    assert.equal(managedRunsAt(over.state), 'source');
    assert.equal(managedPhase(over.state), 'undoing');
    const ended = managedTransition(over.state, { type: 'undone', error }).state;
    assert.equal(outcomeOf(ended), 'cancelled');
    assert.equal(ended.because?.code, 'GODWIT_CANCELLED');
    assert.deepEqual(ended.leftovers, [error]);
  });

  test('a prepare call that was given up may take effect later, and other calls may not', () => {
    const failed: ManagedEvent = { type: 'failed', step: 'prepare', error };
    const final: ManagedEvent = { ...failed, error: { ...error, retryable: false } };
    assert.equal(after(...toPrepare, did('prepare'), { type: 'cancel' }).prepared, 'yes');
    assert.equal(after(...toPrepare, final).prepared, 'yes');
    assert.equal(outcomeOf(after(...toPrepare, final)), 'undoing: failed');
    for (const event of [
      failed,
      { type: 'cancel' },
      { type: 'taken-over', pid: 1 },
      { type: 'timeout', step: 'prepare', afterMs: 1 },
    ] as const) {
      assert.equal(after(...toPrepare, event).prepared, 'unsure', event.type);
    }
  });

  test('a second cancel changes nothing, and asks for nothing', () => {
    const asked = after(...toStart, { type: 'accepted' }, { type: 'cancel' });
    assert.equal(canCancel(asked), false);
    assert.deepEqual(managedTransition(asked, { type: 'cancel' }), { state: asked, effects: [] });
  });

  test('a task that is not listed yet is not forgotten, and its time restarts once it was seen', () => {
    const accepted = [...toStart, { type: 'accepted' } as const, ...none(MISSES - 1)];
    assert.equal(outcomeOf(after(...accepted)), 'watch');
    assert.equal(outcomeOf(after(...accepted, saw('running'), ...none(MISSES - 1))), 'watch');
    assert.equal(outcomeOf(after(...accepted, saw('none'))), 'verify');
  });

  test('a hopeless attempt is not repeated, and each further attempt waits longer', () => {
    const failed: ManagedEvent = { type: 'failed', step: 'inspect', error };
    assert.deepEqual([after(), after(failed), after(failed, failed)].map(pauseMs), [0, 1000, 2000]);
    assert.equal(outcomeOf(after(failed, failed, failed)), 'failed');
    const final: ManagedEvent = { ...failed, error: { ...error, retryable: false } };
    assert.equal(outcomeOf(after(final)), 'failed');
  });

  test("a held migration ends by its manager's answer, asked for again, or by an operator's decision", () => {
    const kept = [...toStart, { type: 'accepted' } as const, ...held('watch', 'watch', 'verify')];
    assert.equal(outcomeOf(after(...kept)), 'held');
    assert.equal(managedMayBeAsked(after(...kept)), true);
    const resolved = (proof: 'ask' | 'operator', runAt: 'source' | 'destination'): ManagedEvent => {
      return { type: 'resolved', proof, runAt, by: 'root' };
    };
    const asked = after(...kept, resolved('ask', 'source'));
    assert.deepEqual(effectsOf(asked), [{ type: 'do', step: 'verify' }]);
    assert.equal(outcomeOf(managedTransition(asked, found('destination')).state), 'finish');
    const back = after(...kept, resolved('ask', 'source'), found('source'), found('source'));
    assert.deepEqual([outcomeOf(back), managedRunsAt(back)], ['failed', 'source']);
    assert.equal(managedMayBeAsked(back), false);
    assert.equal(outcomeOf(after(...kept, resolved('operator', 'source'))), 'failed');
    const { doing, vouched } = after(...kept, resolved('operator', 'destination'));
    assert.deepEqual([doing, vouched], [{ kind: 'do', step: 'finish' }, 'destination']);
    assert.deepEqual(managedTransition(back, resolved('ask', 'source')).state, back);
    const running = after(...toStart);
    assert.deepEqual(managedTransition(running, resolved('operator', 'source')).state, running);
  });

  test('each step has one name, and a step without an undo has a reason', () => {
    for (const name of STEP_NAMES) {
      const { undo, noUndo } = STEPS[name];
      assert.ok((undo === undefined) !== (noUndo === undefined), name);
    }
  });

  test('a managed migration sends one order and ends for good, whatever arrives in any order', () => {
    fc.assert(
      fc.property(anyPlanned, fc.array(anyEvent, { maxLength: 60 }), (first, events) => {
        let { state, effects }: { state: ManagedState; effects: readonly ManagedEffect[] } =
          initialManaged(first);
        const heard: ManagedEvent[] = [];
        let orders = 0;
        for (const event of events) {
          const before = state;
          ({ state, effects } = managedTransition(state, event));
          heard.push(event);
          if (before.order === 'none' && state.order === 'sent') orders += 1;
          // The mover sends its order only in this step, and only where none was.
          const sends = effects.some((each) => each.type === 'do' && each.step === 'start');
          assert.ok(!sends || state.order === 'none', 'an order is sent again');
          if (before.doing.kind === 'end') assert.deepEqual(state, before);
          if (state.doing.kind === 'do' && BEFORE_ORDER.includes(state.doing.step))
            assert.ok(managedRunsAt(state) === 'source' && canCancel(state), 'no way back');
          assert.ok(tidies(before, state), 'what was prepared is left');
          judge(state, heard);
        }
        assert.ok(orders <= 1);
        assert.deepEqual(effectsOf(state), effectsOf(state));
      }),
      { numRuns: 2000 },
    );
  });
});

/** Nothing ends at the source between what was prepared and its undo. */
function tidies({ prepared, doing, ...before }: ManagedState, after: ManagedState): boolean {
  const isNothing = prepared === 'no' && (!before.takesBack || before.order === 'none');
  if (after.doing.kind !== 'end' || doing.kind === 'end' || isNothing) return true;
  const { outcome } = after.doing;
  return outcome === 'done' || outcome === 'held' || doing.kind === 'undo';
}

/** What a state claims of the guest, somebody has said. */
function judge(state: ManagedState, heard: readonly ManagedEvent[]): void {
  const claims = managedRunsAt(state);
  const at = (where: string): number =>
    heard.filter((each) => each.type === 'found' && each.where.at === where).length;
  if (claims === 'destination') assert.ok(at('destination') > 0, 'a guess: destination');
  if (claims !== 'source' || state.order === 'none') return;
  const refused = heard.some(({ type }) => type === 'refused');
  assert.ok(refused || at('source') >= SURE, 'a guess: source');
}
