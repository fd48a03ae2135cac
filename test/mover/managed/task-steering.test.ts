import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HONEST, type Dirtying } from '../../../sim/fake/manager-options.ts';
import { silentLog } from '../../../src/log.ts';
import { orderOf, type ManagedEvent } from '../../../src/migration/managed/events.ts';
import { FAKE_CAPABILITIES } from '../../../sim/fake/managed-handle.ts';
import { replayManaged } from '../../../src/migration/managed/journal.ts';
import type { ManagedState } from '../../../src/migration/managed/state.ts';
import type { ManagedContext } from '../../../src/mover/managed/context.ts';
import { TaskSteering } from '../../../src/mover/managed/task-steering.ts';
import {
  migrationSettings,
  type MigrationRequest,
} from '../../../src/protocol/public/migration.ts';
import { sampleOf } from '../../migration/direct/samples.ts';
import { error, planned } from '../../migration/managed/samples.ts';
import { managedProgress } from '../../../src/migration/managed/report.ts';
import type { StrategyName } from '../../../src/protocol/public/steering.ts';
import { runTrial, type Outcome, type TrialOptions } from './trial.ts';

const MB = 1e6;
/** One pass over its memory takes 10 s. */
const GUEST = { memoryBytes: 1000 * MB, rate: 100 * MB } as const;

/** What remains of it takes 10 s by the link: a longer downtime than this is nearly enough. */
const PATIENT = { maxDowntimeMs: 8000 } as const;

/** A guest that dirties so much of the link, moved by a strategy. */
function trial(
  steering: StrategyName,
  share: number,
  {
    dirtying = {},
    asked = {},
    ...others
  }: Pick<TrialOptions, 'behaves' | 'deaths' | 'timeoutMs'> & {
    readonly dirtying?: Partial<Dirtying>;
    readonly asked?: Partial<MigrationRequest>;
  } = {},
): Promise<Outcome> {
  return runTrial({
    seed: 1,
    timeoutMs: 600_000,
    dirtying: { ...GUEST, dirtyRate: share * GUEST.rate, ...dirtying },
    asked: { steering, maxDowntimeMs: 400, mode: 'hybrid', ...asked },
    ...others,
  });
}

const decided = ({ report }: Outcome): string[] =>
  report.decisions.flatMap(({ rule, what }) =>
    rule === undefined ? [] : [what.split(':')[0] ?? ''],
  );

describe('a steered task', () => {
  test('a steered task starts with the first downtime step, and gets longer ones only if needed', async () => {
    const quiet = await trial('standard', 0.01);
    assert.equal(quiet.outcome, 'done');
    assert.deepEqual([quiet.order?.maxDowntimeMs, quiet.order?.steered], [100, true]);
    assert.deepEqual(decided(quiet), []);
    const busy = await trial('standard', 0.95, { asked: PATIENT });
    assert.equal(busy.outcome, 'done');
    assert.equal(decided(busy)[0], 'downtime');
    const [first] = busy.report.decisions.filter(({ change }) => change !== undefined);
    assert.deepEqual([first?.change?.of, first?.change?.from], ['downtimeMs', 2000]);
    assert.equal(first?.inputs?.rate, GUEST.rate);
  });

  test('a steered task switches to post-copy if rounds do not converge, and reports each round', async () => {
    const { outcome, report, at } = await trial('standard', 2, { asked: PATIENT });
    assert.deepEqual([outcome, at], ['done', 'b']);
    assert.deepEqual(decided({ report } as Outcome).at(-1), 'post-copy');
    assert.ok(report.roundList.length >= 2, JSON.stringify(report.roundList));
    assert.equal(report.roundList[0]?.round, 1);
    assert.equal(report.totalMs < 120_000, true, `${report.totalMs} ms`);
  });

  test('a steered task is given up early under gentle, with figures, and the guest stays', async () => {
    const { outcome, report, at, state } = await trial('gentle', 2, { asked: { mode: 'precopy' } });
    assert.deepEqual([outcome, at], ['failed', 'a']);
    assert.equal(report.error?.code, 'GODWIT_GIVEN_UP');
    assert.match(report.error?.hint ?? '', /^Use .* or /);
    assert.equal(decided({ report } as Outcome).at(-1), 'given up');
    assert.ok((state.sample?.round ?? 99) <= 6, `round ${state.sample?.round}`);
  });

  test('a task without a strategy continues as its manager runs it', async () => {
    const { steering: _, ...plain } = { steering: undefined, mode: 'precopy' as const };
    const found = await runTrial({
      seed: 1,
      timeoutMs: 60_000,
      dirtying: { ...GUEST, dirtyRate: 2 * GUEST.rate },
      asked: plain,
    });
    assert.deepEqual([found.report.error?.code, decided(found)], ['GODWIT_DEADLINE', []]);
    assert.equal(found.order?.steered, undefined);
  });

  test('a steered task skips measures that its manager refused twice, and gives up with the rest', async () => {
    const found = await trial('standard', 2, { dirtying: { refuses: 'all' } });
    assert.equal(found.report.error?.code, 'GODWIT_GIVEN_UP');
    const all = decided(found);
    assert.deepEqual(
      ['downtime', 'post-copy'].map((what) => all.filter((each) => each === what).length),
      [2, 2],
    );
    assert.ok(found.report.decisions.some(({ what }) => what.startsWith('its manager did not:')));
  });

  test('a steered task asks once for a measure that its manager refuses, however long it continues', async () => {
    const deadlineAt = new Date(1_800_000_000_000 + 500_000).toISOString();
    const found = await trial('budget', 2, { asked: { deadlineAt }, dirtying: { refuses: 'all' } });
    assert.equal(found.report.error?.code, 'GODWIT_DEADLINE');
    const asks = found.calls.filter(({ name }) => name === 'steer').length;
    assert.deepEqual([asks, decided(found).length], [4, 4]);
    const refused = found.report.decisions.filter(({ what }) => what.startsWith('its manager did'));
    assert.equal(refused.length, asks);
  });

  test('a steered task asks once for a setting of an earlier mover that its manager refuses now', async () => {
    const longer = { of: 'downtimeMs', from: 100, to: 200 } as const;
    const settings = migrationSettings.parse({ steering: 'standard', maxDowntimeMs: 400 });
    const task = { state: 'running', memory: sampleOf({ round: 1 }) } as const;
    const events: ManagedEvent[] = [
      { ...planned(), settings },
      { type: 'did', step: 'inspect', facts: {} },
      { type: 'did', step: 'check', facts: {} },
      { type: 'ordered' },
      { type: 'accepted' },
      { type: 'saw', task },
      { type: 'decided', what: 'downtime', why: 'longer', change: longer },
      {
        type: 'decided',
        what: 'downtime',
        why: 'longer still',
        change: { ...longer, from: 200, to: 400 },
      },
      { type: 'unset', error },
    ];
    const state = (): ManagedState => replayManaged(events) ?? assert.fail();
    const record = async (event: ManagedEvent): Promise<void> => void events.push(event);
    let asks = 0;
    const ask = async (): Promise<never> => {
      asks += 1;
      throw new Error('refused');
    };
    const order = orderOf(state().plan);
    const around = {
      driver: { name: 'fake', capabilities: { ...FAKE_CAPABILITIES, levers: [] } },
      leftMs: () => 60_000,
      log: silentLog,
    };
    const context: Partial<ManagedContext> = { state, record, ask, order, ...around };
    const steering = new TaskSteering(context as ManagedContext);
    for (let look = 0; look < 3; look += 1) await steering.look(task, AbortSignal.timeout(9000));
    assert.equal(asks, 1);
  });

  test('a steered task switches to post-copy although its manager accepts no longer downtime', async () => {
    const found = await trial('standard', 2, { dirtying: { refuses: 'downtime' }, asked: PATIENT });
    assert.deepEqual([found.outcome, found.at], ['done', 'b']);
    assert.deepEqual(decided(found), ['downtime', 'downtime', 'post-copy']);
  });

  test('a steered task ends at its deadline if it has one, whatever the timeout is', async () => {
    const deadlineAt = new Date(1_800_000_000_000 + 30_000).toISOString();
    const asked = { deadlineAt, mode: 'precopy' as const };
    const { outcome, report, at } = await trial('must-finish', 2, { asked });
    assert.deepEqual([outcome, at, report.error?.code], ['failed', 'a', 'GODWIT_DEADLINE']);
    assert.ok(report.totalMs < 40_000, `${report.totalMs} ms`);
  });

  test('a steered task has until the timeout once its guest has switched, whatever the deadline', async () => {
    const deadlineAt = new Date(1_800_000_000_000 + 310_000).toISOString();
    const large = { memoryBytes: 30 * GUEST.memoryBytes };
    const found = await trial('must-finish', 2, {
      asked: { deadlineAt },
      dirtying: large,
      timeoutMs: 3_600_000,
    });
    assert.deepEqual([found.outcome, found.at], ['done', 'b'], JSON.stringify(found.report.error));
    assert.ok(found.report.totalMs > 550_000, `${found.report.totalMs} ms`);
    const late = await trial('must-finish', 2, { dirtying: large, timeoutMs: 400_000 });
    assert.equal(late.report.error?.code, 'GODWIT_TASK_UNKNOWN');
    assert.match(late.report.error?.message ?? '', /its memory still follows/);
  });

  test('a steered task is throttled by its manager, and given up only if that does not help', async () => {
    const asked = { mode: 'precopy' } as const;
    const slowed = await trial('no-postcopy', 1.5, { asked, dirtying: { throttles: true } });
    assert.deepEqual(slowed.order?.throttle, { initial: 20, increment: 20 });
    assert.equal(slowed.outcome, 'done');
    for (const share of [2.5, 3, 4, 5, 10, 20, 50]) {
      const found = await trial('no-postcopy', share, { asked, dirtying: { throttles: true } });
      assert.equal(found.outcome, 'done', `${share}: ${JSON.stringify(found.report.decisions)}`);
    }
    const beyond = await trial('no-postcopy', 200, { asked, dirtying: { throttles: true } });
    assert.equal(beyond.report.error?.code, 'GODWIT_GIVEN_UP');
    assert.equal(beyond.state.sample?.throttlePercent, 99);
    const plain = await trial('must-finish', 0.1);
    assert.equal(plain.order?.throttle, undefined, 'post-copy comes first');
  });

  test('a steered task shows the last decision to its followers', async () => {
    const { state } = await trial('standard', 2);
    const watched = { ...state, doing: { kind: 'do', step: 'watch' } } as const;
    const shown = managedProgress(watched, 0);
    assert.match(shown.note ?? '', /^post-copy: /);
    assert.equal(shown.sample?.totalBytes, GUEST.memoryBytes);
  });

  test('a steered task ends at whatever time its mover dies, and the next mover steers it', async () => {
    const whole = await trial('standard', 2);
    const { points } = whole;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: points }), { maxLength: 3 }),
        async (deaths) => {
          const found = await trial('standard', 2, { deaths });
          // A mover that dies between writing the order down and sending it never sends it.
          const ends = found.tasks === 0 ? ['failed', 'a'] : ['done', 'b'];
          assert.deepEqual([found.outcome, found.at], ends, JSON.stringify(found.report));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a steered task ends only once under a manager that loses, repeats and forgets calls', async () => {
    const behaves = { ...HONEST, lost: 0.1, unanswered: 0.1, late: 0.05, twice: 0.1, stale: 0.05 };
    for (const share of [0.5, 0.95, 2]) {
      const found = await trial('standard', share, { behaves });
      const isAtEnd = found.outcome === 'done' ? found.at === 'b' : found.at === 'a';
      assert.ok(isAtEnd, JSON.stringify([found.outcome, found.at, found.report.error]));
    }
  });
});
