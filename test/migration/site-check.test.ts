import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  afterRefusal,
  afterRun,
  cancelled,
  goesBackBy,
  nextDeed,
  siteCheckOf,
  unreadable,
  watchFrom,
  watchState,
  wayBack,
  type Finding,
  type WatchFacts,
  type WatchState,
} from '../../src/migration/site-check.ts';
import { migrationSettings } from '../../src/protocol/public/migration.ts';

const ASKED = { check: 'check-web', withinMs: 600_000 };
const GOOD: Finding = { as: 'good' };
const BAD: Finding = { as: 'bad', why: 'check-web ended with 1: no answer', code: 1 };
const [BACK, SECOND, THIRD] = ['m-00000001', 'm-00000002', 'm-00000003'];

const alone = (nowMs: number): WatchFacts => ({ nowMs, others: 'none' });

/** After these runs, each when it was due. */
function after(found: readonly Finding[], from = watchFrom(ASKED, 0)): WatchState {
  return found.reduce((state, each) => afterRun(state, each, state.nextMs), from);
}

function endOf(state: WatchState, facts: WatchFacts): WatchState['ended'] {
  const deed = nextDeed(state, facts);
  return deed.do === 'keep' ? deed.state.ended : undefined;
}

describe('a watched guest', () => {
  test('a watched guest has its check run at once, and then every ten seconds', () => {
    const state = watchFrom(ASKED, 5000);
    assert.deepEqual(nextDeed(state, alone(5000)), { do: 'check' });
    const next = afterRun(state, GOOD, 5000);
    assert.deepEqual(nextDeed(next, alone(14_999)), { do: 'nothing' });
    assert.deepEqual(nextDeed(next, alone(15_000)), { do: 'check' });
  });

  test('a watched guest has its check run more often if its time is short', () => {
    assert.equal(watchFrom({ ...ASKED, withinMs: 10_000 }, 0).intervalMs, 1000);
    assert.equal(watchFrom({ ...ASKED, withinMs: 60_000 }, 0).intervalMs, 3000);
  });

  test('a watched guest is moved back once three runs in a row have failed, and not before', () => {
    const twice = after([BAD, BAD]);
    assert.deepEqual(nextDeed(twice, alone(twice.nextMs)), { do: 'check' });
    const state = after([BAD, BAD, BAD]);
    assert.deepEqual(nextDeed(state, alone(state.nextMs - 1)), { do: 'return' });
    assert.equal(state.due, 'check-web ended with 1: no answer (3 failures in a row)');
  });

  test('a watched guest is not moved back if a good run separates the failures', () => {
    const state = after([BAD, BAD, GOOD, BAD, BAD]);
    assert.equal(state.due, undefined);
    assert.deepEqual([state.runs, state.failures], [5, 4]);
  });

  test('a watched guest is moved back after a single run that exits with 10', () => {
    const state = after([GOOD, { as: 'bad', why: 'check-web ended with 10', code: 10 }]);
    assert.deepEqual(nextDeed(state, alone(state.nextMs)), { do: 'return' });
  });

  test('a watched guest is not moved back because its check cannot be run', () => {
    const missing: Finding = { as: 'missing', why: 'b has no executable check-web any more' };
    const state = after([GOOD, missing, missing, missing, missing]);
    assert.equal(state.due, undefined);
    assert.deepEqual([state.runs, state.failures], [1, 0]);
    const ended = endOf(state, alone(600_000));
    assert.deepEqual(ended, { as: 'failed', why: 'b has no executable check-web any more' });
  });

  test('a guest is no longer watched once its time is over', () => {
    assert.deepEqual(endOf(after([BAD, GOOD]), alone(600_000)), { as: 'passed' });
    const failing = endOf(after([BAD, BAD]), alone(600_000));
    assert.equal(failing?.as, 'failed');
    assert.match(failing?.why ?? '', /no answer \(2 in a row; 3 take a guest back\)$/);
    assert.equal(endOf(watchFrom(ASKED, 0), alone(600_000))?.why, 'its check was never run');
  });

  test('a watched guest is moved back if the last failure came in time, though the time is over now', () => {
    assert.deepEqual(nextDeed(after([BAD, BAD, BAD]), alone(900_000)), { do: 'return' });
  });

  test('a guest is left alone while another migration moves it, and once it has gone', () => {
    const state = after([BAD, BAD, BAD]);
    assert.deepEqual(nextDeed(state, { nowMs: 40_000, others: 'under-way' }), { do: 'nothing' });
    assert.equal(endOf(state, { nowMs: 40_000, others: 'moved-on' })?.as, 'moved-on');
    assert.equal(endOf(state, { nowMs: 700_000, others: 'under-way' })?.as, 'moved-on');
  });

  test('a watched guest waits no longer than one interval if the clock was set back', () => {
    const state = after([GOOD], watchFrom(ASKED, 1e9));
    assert.deepEqual(nextDeed(state, alone(5000)), { do: 'check' });
  });
});

describe('the return', () => {
  const due = after([BAD, BAD, BAD]);
  const going = goesBackBy(due, BACK);
  const back = (
    phase: NonNullable<WatchFacts['back']>['phase'],
    ended: boolean,
    error?: string,
  ): WatchFacts => ({
    nowMs: 40_000,
    others: 'none',
    back: { phase, ended, ...(error === undefined ? {} : { error }) },
  });

  test('the return is requested again under the same id if it never began', () => {
    assert.deepEqual(nextDeed(going, alone(40_000)), { do: 'return' });
    assert.equal(going.back, BACK);
  });

  test('the return is awaited, and then the guest is back', () => {
    assert.deepEqual(nextDeed(going, back('memory', false)), { do: 'nothing' });
    const ended = endOf(going, back('done', true));
    assert.deepEqual(ended, { as: 'returned', why: due.due });
  });

  test('a return that an operator has canceled leaves the guest at its present host', () => {
    assert.equal(endOf(going, back('cancelled', true))?.as, 'cancelled');
    assert.equal(cancelled(due, 'ann').ended?.why, 'cancelled by ann');
    assert.deepEqual(nextDeed(cancelled(due, 'ann'), alone(40_000)), { do: 'nothing' });
  });

  test('a failed return is tried again once the check has failed again, three times in all', () => {
    const deed = nextDeed(going, back('failed', true, 'a does not answer'));
    assert.ok(deed.do === 'keep');
    assert.equal(deed.state.due, undefined);
    assert.match(deed.state.last ?? '', /^it could not be taken back: a does not answer$/);
    const second = goesBackBy(after([BAD, BAD, BAD], deed.state), SECOND);
    const refused = afterRefusal(second, 'no room', 90_000);
    assert.equal(refused.ended, undefined);
    const third = goesBackBy(after([BAD, BAD, BAD], refused), THIRD);
    assert.deepEqual(third.attempts, [BACK, SECOND, THIRD]);
    assert.equal(afterRefusal(third, 'no room', 1).ended?.as, 'failed');
    assert.equal(endOf(third, back('failed', true))?.as, 'failed');
  });

  test('a return that is held or lost is not tried again', () => {
    for (const phase of ['held', 'lost'] as const)
      assert.equal(endOf(going, back(phase, true))?.as, 'failed', phase);
  });

  test('the return uses the options of the first migration, except its start time', () => {
    const settings = migrationSettings.parse({
      mode: 'hybrid',
      maxBandwidth: 1e9,
      networks: { br0: 'br1' },
      returnIfUnhealthy: ASKED,
      notBefore: '2026-01-01T00:00:00Z',
      deadlineAt: '2026-01-01T01:00:00Z',
      noticeMs: 60_000,
      whenQuiet: { withinMs: 60_000 },
      pathAddresses: ['10.0.0.2'],
      steering: 'budget',
      balloon: 'free',
      unplug: ['hostdev0'],
      plug: ['gpu0'],
    });
    const request = wayBack(settings, { guest: 'web1', to: 'a' });
    const { timeoutMs, mode, maxBandwidth, networks } = request;
    assert.deepEqual(
      { mode, maxBandwidth, networks },
      { mode: 'hybrid', maxBandwidth: 1e9, networks: { br1: 'br0' } },
    );
    assert.equal(timeoutMs, settings.timeoutMs);
    assert.deepEqual(request.unplug, ['gpu0'], 'what it got there stays there');
    const left = JSON.parse(JSON.stringify(request)) as object;
    for (const name of [
      'returnIfUnhealthy',
      'notBefore',
      'deadlineAt',
      'noticeMs',
      'whenQuiet',
      'pathAddresses',
      'steering',
      'balloon',
      'plug',
    ])
      assert.ok(!(name in left), name);
    assert.equal(
      wayBack({ ...settings, steering: 'standard' }, { guest: 'web1', to: 'a' }).steering,
      'standard',
    );
  });
});

test('the report has the state of the check', () => {
  const { why, ...watching } = siteCheckOf(after([BAD]));
  assert.deepEqual(watching, {
    state: 'watching',
    untilAt: '1970-01-01T00:10:00.000Z',
    runs: 1,
    failures: 1,
  });
  assert.equal(why, BAD.as === 'bad' ? BAD.why : '');
  assert.equal(siteCheckOf(goesBackBy(after([BAD, BAD, BAD]), BACK)).state, 'returning');
  assert.equal(siteCheckOf(unreadable()).state, 'failed');
});

test('the state can always be read again, and a guest returns after three failures or one exit of 10', () => {
  const finding = fc.oneof(
    fc.constant(GOOD),
    fc.constant(BAD),
    fc.constant<Finding>({ as: 'bad', why: 'x'.repeat(5000), code: 10 }),
    fc.constant<Finding>({ as: 'missing', why: 'gone' }),
  );
  fc.assert(
    fc.property(fc.array(finding, { maxLength: 12 }), (found) => {
      const state = after(found);
      assert.deepEqual(watchState.parse(JSON.parse(JSON.stringify(state))), state);
      const runs = found.filter(({ as }) => as !== 'missing');
      const isThrice = runs.some(
        (_, at) => runs.slice(at, at + 3).filter(({ as }) => as === 'bad').length === 3,
      );
      const isAtOnce = found.some((each) => each.as === 'bad' && each.code === 10);
      assert.equal(state.due !== undefined, isThrice || isAtOnce);
    }),
  );
});
