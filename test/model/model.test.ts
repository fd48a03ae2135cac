import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { replayDestination, replaySource } from '../../src/migration/direct/journal.ts';
import type { SourceState } from '../../src/migration/direct/source/source-state.ts';
import { transition } from '../../src/migration/direct/source/transition.ts';
import { DestinationBook, SourceBook } from './journals.ts';
import { ADMISSION, PLANNED, RECORDS, SOURCE_EVENTS, type RecordName } from './events.ts';
import { explore } from './explore.ts';
import { MUTANTS, REAL, withEdit, type Rules } from './rules.ts';
import { SHELL_MUTANTS } from './shells/mutants.ts';

/** A part of what `npm run model` explores: one fault in each migration, and no proof that it ends in post-copy. */
const MAX_STATES = 3_000_000;

describe('every interleaving with one fault', () => {
  test('pre-copy keeps the right to run under every interleaving and one fault, and every fair run ends', (t) => {
    const bounds = { mode: 'precopy', faults: 1, earlier: false, ends: true } as const;
    const { violation, exhaustive, states } = explore(REAL, { ...bounds, mostStates: MAX_STATES });
    t.diagnostic(`${states} states`);
    assert.equal(violation, undefined);
    assert.equal(exhaustive, true);
  });

  test('post-copy and hybrid keep the right to run, and reach every end', (t) => {
    const bounds = { mode: 'hybrid', faults: 1, earlier: false, ends: false } as const;
    const explored = explore(REAL, { ...bounds, mostStates: MAX_STATES });
    t.diagnostic(`${explored.states} states`);
    assert.equal(explored.violation, undefined);
    assert.equal(explored.exhaustive, true);
    const ends = Object.keys(explored.ends).toSorted();
    assert.deepEqual(ends, ['cancelled', 'done', 'failed', 'held', 'lost']);
  });

  test('a rehearsal keeps the right to run at the source throughout, and ends with the guest there', (t) => {
    const bounds = { mode: 'hybrid', rehearses: true, faults: 1, earlier: false } as const;
    const explored = explore(REAL, { ...bounds, ends: true, mostStates: MAX_STATES });
    t.diagnostic(`${explored.states} states`);
    assert.equal(explored.violation, undefined);
    assert.equal(explored.exhaustive, true);
    const ends = Object.keys(explored.ends);
    assert.ok(ends.includes('rehearsed') && !ends.includes('done'), ends.join(', '));
  });

  test('a migration without faults ends well, whatever an earlier migration sends', () => {
    const bounds = { mode: 'precopy', faults: 0, earlier: true, ends: true } as const;
    const { violation, exhaustive } = explore(REAL, { ...bounds, mostStates: MAX_STATES });
    assert.equal(violation, undefined);
    assert.equal(exhaustive, true);
  });
});

/** Found among the nearest states; `npm run model` looks for all mutants. */
const NEAR: ReadonlySet<string> = new Set([
  'commit before completed',
  'no gate before the hook',
  'one silent path is enough',
  'drop the fsync of refused',
  'ignore refused',
  'forget the epoch',
  'promise in vain',
]);
const isNear = ({ name }: { readonly name: string }): boolean => NEAR.has(name);

test('the nearest mutants differ from the protocol', () => {
  const names = [...MUTANTS, ...SHELL_MUTANTS].filter(isNear).map(({ name }) => name);
  assert.deepEqual(new Set(names), NEAR);
});

describe('a broken protocol', () => {
  for (const { name, breaks, mode, earlier, rules } of MUTANTS.filter(isNear)) {
    test(`a broken protocol is detected: ${name} (${breaks})`, (t) => {
      const bounds = { mode, earlier, faults: 1, ends: false, mostStates: MAX_STATES };
      const { violation } = explore(rules, bounds);
      assert.ok(violation !== undefined, 'the model explored all of it and found nothing wrong');
      t.diagnostic(`${violation.rule}, in ${violation.trace.length} moves`);
      assert.ok(!violation.trace.includes('?'), 'each move of the trace has its name');
    });
  }
});

test('a rehearsal that ignores at its switch that it is one is detected', () => {
  const forgets = (state: SourceState): SourceState => {
    if (state.doing.kind !== 'do' || state.doing.step !== 'memory') return state;
    const { rehearse: _, ...settings } = state.plan.settings;
    return { ...state, plan: { ...state.plan, settings } };
  };
  const rules = {
    ...REAL,
    transition: (state, event) => transition(forgets(state), event),
  } satisfies Rules;
  const bounds = {
    mode: 'hybrid',
    rehearses: true,
    faults: 0,
    earlier: false,
    ends: false,
  } as const;
  const { violation } = explore(rules, { ...bounds, mostStates: MAX_STATES });
  assert.equal(violation?.rule, 'a rehearsal came to what only a migration does');
});

describe('broken movers', () => {
  for (const mutant of SHELL_MUTANTS.filter(isNear)) {
    const { name, breaks, mode, earlier = false, ends = false } = mutant;
    test(`a broken mover is detected: ${name} (${breaks})`, async (t) => {
      const bounds = { mode, earlier, faults: 1, ends, mostStates: MAX_STATES };
      const { violation } = explore(await withEdit(mutant), bounds);
      assert.ok(violation !== undefined, 'the model explored all of it and found nothing wrong');
      t.diagnostic(`${violation.rule}, in ${violation.trace.length} moves`);
    });
  }

  test('a mover does not count as broken if the code to replace is missing', async () => {
    const edit = { file: 'src/mover/direct/source/guest/regain.ts', from: 'not there', to: '' };
    await assert.rejects(withEdit({ mode: 'precopy', edit, steps: ['memory'] }), /0 times/);
  });
});

describe('the journals of the model', () => {
  test("the model's journals fold as the source's journal does", () => {
    const numbers = fc.array(fc.nat(SOURCE_EVENTS.length - 1), { maxLength: 60 });
    fc.assert(
      fc.property(fc.constantFrom('precopy' as const, 'hybrid' as const), numbers, (mode, some) => {
        const book = new SourceBook(REAL, mode);
        const last = some.reduce(
          (journal, event) => book.apply(journal, event).journal,
          book.first,
        );
        const events = some.map((event) => SOURCE_EVENTS[event]!);
        const replayed = replaySource([PLANNED[mode], ...events])!;
        const { doing, right, via, stream, unsure, attempts, cancelled } = book.state(last);
        const { doing: d, right: r, via: v, stream: s, unsure: u, attempts: a } = replayed;
        assert.deepEqual(
          [doing, right, via, stream, unsure, attempts, cancelled],
          [d, r, v, s, u, a, replayed.cancelled],
        );
      }),
    );
  });

  test("the model's journals fold as the destination's journal does", () => {
    const names = fc.array(fc.constantFrom(...(Object.keys(RECORDS) as RecordName[])));
    fc.assert(
      fc.property(names, (some) => {
        const book = new DestinationBook(REAL);
        const last = some.reduce((journal, name) => book.record(journal, name), book.admitted);
        const admitted = { type: 'admitted', admission: ADMISSION, host: 'b' } as const;
        const replayed = replayDestination([admitted, ...some.map((name) => RECORDS[name])])!;
        const { right, stage, hypervisor, unsure, hasRun } = book.state(last);
        const { right: r, stage: s, hypervisor: h, unsure: u, hasRun: ran } = replayed;
        assert.deepEqual([right, stage, hypervisor, unsure, hasRun], [r, s, h, u, ran]);
      }),
    );
  });

  test("the model's journals lose exactly the unsynced records in a power loss", () => {
    const book = new DestinationBook(REAL);
    const armed = (['preparing', 'prepared', 'armed0'] as const).reduce(
      (journal, name) => book.record(journal, name),
      book.admitted,
    );
    assert.deepEqual(book.cuts(armed), [armed]);
    const running = book.record(book.record(armed, 'committed'), 'running');
    const left = book.cuts(running).map((journal) => book.state(journal).right);
    assert.deepEqual(left, ['armed', 'running', 'running']);
  });
});
