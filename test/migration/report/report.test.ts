import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../src/errors.ts';
import type { SourceRecord } from '../../../src/migration/direct/journal.ts';
import { addDiskLink } from '../../../src/migration/report/disk-figures.ts';
import { reportOf } from '../../../src/migration/report/report.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import { STEP_NAMES, STEPS, type StepName } from '../../../src/migration/direct/source/steps.ts';
import { report, type Report } from '../../../src/protocol/public/migration.ts';
import { chance, driveUntil, settle } from '../direct/drive.ts';
import { isDoing, isOfDisks } from '../direct/endings.ts';
import { diskLinkOf, planned, sampleOf } from '../direct/samples.ts';
import { World } from '../direct/world.ts';

const START = Date.parse('2026-03-01T12:00:00Z');

/** A journal in which each record comes `gapMs` after the one before. */
function recordsOf(events: readonly SourceEvent[], gapMs = 10): SourceRecord[] {
  return events.map((event, seq) => ({ v: 1, seq, at: START + seq * gapMs, mono: seq, event }));
}

function reportOfWorld(world: World): Report {
  const records = recordsOf(world.journal);
  const made = reportOf(records, START + records.length * 10);
  assert.ok(made !== undefined);
  assert.deepEqual(report.parse(made), made);
  return made;
}

function sum(phases: Report['phases']): number {
  return phases.reduce((total, { ms }) => total + ms, 0);
}

describe('the report of any migration', () => {
  test('the report of any migration keeps its contract, and its phases add up to its total', () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true }), ({ world }) => {
        const made = reportOfWorld(world);
        assert.equal(sum(made.phases), made.totalMs);
        assert.equal(made.outcome, world.outcome);
        assert.equal(made.endedAt === undefined, !world.ended);
      }),
    );
  });

  test('the report of a canceled migration counts bytes until the cancel, not until its last round', () => {
    const error = godwitError('GODWIT_STREAM_FAILED', { guest: 'web1', reason: 'cut' }).toJSON();
    const sample = sampleOf({ round: 1, transferredBytes: 500, totalMs: 2000 });
    for (const event of [
      { type: 'timeout', afterMs: 1000, sample },
      { type: 'cancel', sample },
      { type: 'failed', step: 'memory', error, sample },
    ] as const) {
      const world = new World();
      driveUntil(world, isDoing('memory'));
      const first = sampleOf({ round: 1, transferredBytes: 3 });
      world.dispatch({ type: 'measured', sample: first, final: false });
      world.dispatch(event);
      settle(world);
      assert.equal(reportOfWorld(world).bytes, 500, event.type);
    }
  });

  const anyMode = [
    chance({ deaths: true, faults: true }),
    chance({ deaths: true, faults: true, settings: { mode: 'cold' } }),
  ];
  test("the report gives the guest's location, and never names a host without the guest", () => {
    fc.assert(
      fc.property(fc.oneof(...anyMode), ({ world, moves }) => {
        settle(world);
        const { runsAt } = reportOfWorld(world);
        const here = world.run === 'running';
        const there = world.destination?.hypervisor === 'running';
        const reported = `${runsAt} after ${moves.join(', ')}`;
        const died = moves.some((move) => move.endsWith('dies'));
        // A death after the end is not heard, nor one of the hypervisor that took a cold guest back.
        const isHeard =
          world.state.startedAnew !== true &&
          world.journal.some((each) => each.type === 'hypervisor' && each.event.type === 'lost');
        if (runsAt === 'source') assert.ok(here || (died && !isHeard), reported);
        if (runsAt === 'destination') assert.ok(there || died, reported);
        // A copy that lacks memory is ended by the mover of a lost guest.
        const isWhole = there && world.outcome !== 'lost';
        if (runsAt === 'nowhere') assert.ok(!here && !isWhole, reported);
        if (world.run === 'running') assert.notEqual(runsAt, 'destination', reported);
        if (world.run === 'running' && !died && world.outcome !== 'held') {
          assert.equal(runsAt, 'source', reported);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('the report keeps its contract when the wall clock is set back', () => {
    fc.assert(
      fc.property(
        chance({ deaths: false, faults: true }),
        fc.array(fc.integer({ min: -10_000, max: 10_000 }), { minLength: 20 }),
        ({ world }, jumps) => {
          const records = recordsOf(world.journal).map((record, index) => ({
            ...record,
            at: record.at + (jumps[index % jumps.length] ?? 0),
          }));
          const made = reportOf(records, START);
          assert.deepEqual(report.parse(made), made);
        },
      ),
    );
  });
});

describe('the report of a pre-copy', () => {
  const world = new World();
  driveUntil(world, (at) => at.stream === 'active' && at.unheard.length === 0);
  for (const round of [1, 2, 3]) {
    const sample = sampleOf({ round, transferredBytes: round * 1000 });
    world.dispatch({ type: 'measured', sample, final: false });
  }
  settle(world);
  const made = reportOfWorld(world);

  test('the report of a pre-copy lists each phase once, in order', () => {
    const leftOut = (name: StepName): boolean =>
      name === 'wait' || name === 'drain' || isOfDisks(name);
    const phases = STEP_NAMES.filter((name) => !leftOut(name)).map((name) => STEPS[name].phase);
    assert.deepEqual(
      made.phases.map((one) => one.phase),
      [...new Set(phases)],
    );
  });

  test('the report of a pre-copy lists each round as measured when the next one began', () => {
    assert.deepEqual(
      made.roundList.map(({ round, transferredBytes }) => [round, transferredBytes]).slice(0, 2),
      [
        [1, 2000],
        [2, 3000],
      ],
    );
  });

  test("the report of a pre-copy gives its result and the guest's location", () => {
    assert.deepEqual(
      [made.outcome, made.finished, made.runsAt, made.takeovers],
      ['done', 'precopy', 'destination', 0],
    );
    assert.equal(made.totalMs, (world.journal.length - 1) * 10);
    assert.equal(made.startedAt, '2026-03-01T12:00:00.000Z');
    assert.equal(made.memoryBytes, 1 << 30);
  });

  test("the report of a pre-copy measures the blackout from the guest's stop to the destination's answer", () => {
    const records = recordsOf(world.journal);
    const stop = records.find(
      ({ event }) => event.type === 'hypervisor' && event.event.type === 'stopped',
    );
    const ran = records.find(({ event }) => event.type === 'did' && event.step === 'commit');
    assert.equal(made.blackoutMs, (ran?.at ?? 0) - (stop?.at ?? 0));
  });

  test('the report of a pre-copy does not grow when a mover looks at it again after its end', () => {
    const events = [...world.journal, { type: 'taken-over', pid: 1 } as const];
    const again = reportOf(recordsOf(events), START + 999_999);
    assert.deepEqual({ ...again, takeovers: 0 }, made);
  });

  test('the report of a pre-copy uses the figures of the last look, if there is one', () => {
    const records = recordsOf(world.journal);
    const last = records.findLastIndex(({ event }) => event.type === 'measured');
    const sample = sampleOf({ downtimeMs: 42, transferredBytes: 7777, round: 5, pageRequests: 3 });
    const event = { type: 'measured', sample, final: true } as const;
    const changed = records.map((record, at) => (at === last ? { ...record, event } : record));
    const { downtimeMs, bytes, rounds, pageRequests } = reportOf(changed, START) ?? made;
    assert.deepEqual([downtimeMs, bytes, rounds, pageRequests], [42, 7777, 5, 3]);
  });
});

describe('the report of a migration under way or undone', () => {
  test("the report adds up the bytes of the disks' paths, and explains a path that ended by itself", () => {
    const first = {
      type: 'disk-link' as const,
      figures: diskLinkOf({ cuts: 1, longestCutMs: 30 }),
    };
    const lost = { ...first, why: 'no link for 10 s' };
    const events: SourceEvent[] = [planned(), lost, { ...first, figures: diskLinkOf() }];
    const two = reportOf(recordsOf(events), START + 40);
    assert.deepEqual(two?.diskLink, {
      ...addDiskLink(diskLinkOf(), diskLinkOf()),
      cuts: 1,
      longestCutMs: 30,
    });
    assert.deepEqual(two?.decisions, [
      { atMs: 10, what: 'the path of the disks ended: no link for 10 s' },
    ]);
  });

  for (const asked of [undefined, 'native', 'wire', 'auto'] as const) {
    test(`the report explains memory on the wire if ${asked ?? 'nothing'} was requested${asked === 'wire' ? ', which is no decision' : ''}`, () => {
      const why = 'the hosts reach each other through a relay alone';
      const facts = { path: { takes: 'wire', why } } as const;
      const settings = asked === undefined ? {} : { path: asked };
      const events: SourceEvent[] = [planned(settings), { type: 'did', step: 'admit', facts }];
      const made = reportOf(recordsOf(events), START + 40);
      const said = asked === 'wire' ? [] : [{ atMs: 10, what: `memory goes by wire: ${why}` }];
      assert.deepEqual(made?.decisions, said);
    });
  }

  test('the report counts the present phase up to now', () => {
    const world = new World();
    driveUntil(world, isDoing('prepare'));
    const records = recordsOf(world.journal);
    const made = reportOf(records, START + 5000);
    assert.equal(made?.outcome, 'running');
    assert.equal(made?.phase, 'preparing');
    assert.equal(made?.totalMs, 5000);
    assert.equal(sum(made?.phases ?? []), 5000);
    assert.equal(made?.runsAt, 'source');
  });

  test("the report during the blackout does not name the guest's location", () => {
    const world = new World();
    driveUntil(world, isDoing('commit'));
    assert.equal(reportOfWorld(world).runsAt, 'unknown');
  });

  test('the report of a cancel names its author and the running source, even if the event was lost', () => {
    const world = new World();
    driveUntil(world, isDoing('switchover'));
    world.dispatch({ type: 'cancel' });
    world.answer();
    world.unheard = [];
    settle(world);
    const made = reportOfWorld(world);
    assert.equal(made.runsAt, 'source');
    assert.equal(made.finished, 'none');
    assert.equal(made.error?.code, 'GODWIT_CANCELLED');
    assert.deepEqual(
      made.decisions.map(({ what }) => what),
      ['cancel was asked for'],
    );
  });

  test('the report is bounded however long the migration took', () => {
    const sample = { type: 'measured', sample: sampleOf({ round: 2 }), final: false } as const;
    const events = [planned(), ...Array<SourceEvent>(12_000).fill(sample)];
    const made = report.parse(reportOf(recordsOf(events), START));
    assert.equal(made.roundList.length, 10_000);
  });

  test('an empty journal has no report', () => {
    assert.equal(reportOf([], 0), undefined);
    assert.equal(reportOf(recordsOf([{ type: 'cancel' }]), 0), undefined);
  });
});
