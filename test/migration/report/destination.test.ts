import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DestinationRecord } from '../../../src/migration/direct/journal.ts';
import { destinationReportOf } from '../../../src/migration/report/destination.ts';
import { destinationEvent } from '../../../src/migration/direct/destination/destination-events.ts';
import { migrationSettings, report, type Report } from '../../../src/protocol/public/migration.ts';
import { chance, driveUntil, settle } from '../direct/drive.ts';
import { isDoing } from '../direct/endings.ts';
import { World } from '../direct/world.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

const START = Date.parse('2026-03-01T12:00:00Z');

describe("the destination's report", () => {
  function theirs(world: World): Report {
    const journal = world.destination?.journal ?? [];
    const records: DestinationRecord[] = journal.map((event, seq) => {
      return { v: 1, seq, at: START + seq * 10, mono: seq, event };
    });
    const made = destinationReportOf(records, START + 10_000);
    assert.ok(made !== undefined);
    assert.deepEqual(report.parse(made), made);
    return made;
  }

  test('a destination without a journal has no report', () => {
    assert.equal(destinationReportOf([], 0), undefined);
  });

  test("the destination's report keeps its contract in every state", () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true }), ({ world }) => {
        if (world.destination !== undefined) theirs(world);
      }),
    );
  });

  test("the destination's report has the fate of the guest", () => {
    const moved = new World();
    settle(moved);
    assert.deepEqual([theirs(moved).outcome, theirs(moved).runsAt], ['done', 'destination']);
    const cancelled = new World();
    driveUntil(cancelled, isDoing('memory'));
    assert.equal(theirs(cancelled).phase, 'memory');
    cancelled.dispatch({ type: 'cancel' });
    settle(cancelled);
    assert.deepEqual([theirs(cancelled).outcome, theirs(cancelled).runsAt], ['failed', 'source']);
    // An earlier source does not say why it gives a migration up.
    assert.ok(theirs(cancelled).notKnown?.includes('why it ended, and whether it was cancelled'));
  });

  test("the destination's report names unknown facts instead of figures that were not measured", () => {
    const moved = new World();
    settle(moved);
    const { bytes, rounds, throughput, pageRequests, notKnown = [], finished } = theirs(moved);
    assert.deepEqual([bytes, rounds, throughput, pageRequests], Array(4).fill(undefined));
    for (const what of ['bytes sent', 'rounds', 'throughput', 'page requests'])
      assert.ok(notKnown.includes(what), what);
    assert.equal(finished, 'precopy');
  });

  test("the destination's report has the settings that its source sent, or lists them as unknown", () => {
    const settings = migrationSettings.parse({
      mode: 'hybrid',
      maxBandwidth: 5000,
      timeoutMs: 7000,
    });
    const admission = admissionOf({ id: 'm-abcdefgh', timeoutMs: 7000 });
    const at = { v: 1 as const, seq: 0, at: START, mono: 0 };
    const made = (more: object): Report | undefined => {
      const event = {
        type: 'admitted' as const,
        host: 'b',
        pid: 1,
        admission: { ...admission, ...more },
      };
      return destinationReportOf([{ ...at, event: destinationEvent.parse(event) }], START);
    };
    assert.deepEqual(
      [made({ settings })?.mode, made({ settings })?.settings],
      ['hybrid', settings],
    );
    assert.ok(made({})?.notKnown?.includes('settings other than the mode'));
  });
});
