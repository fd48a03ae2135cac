import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ManagedEvent, ManagedRecord } from '../../../src/migration/managed/events.ts';
import { replayManaged } from '../../../src/migration/managed/journal.ts';
import { managedProgress, managedReport } from '../../../src/migration/managed/report.ts';
import { progress, report } from '../../../src/protocol/public/migration.ts';
import { sampleOf } from '../direct/samples.ts';
import { WIRE_FIGURES } from '../../wire/figures.ts';
import { anyEvent, anyPlanned, planned } from './samples.ts';

const MOVING: readonly ManagedEvent[] = [
  { type: 'did', step: 'inspect', facts: {} },
  { type: 'did', step: 'check', facts: {} },
  { type: 'ordered' },
  { type: 'accepted' },
];

const recordsOf = (events: readonly ManagedEvent[]): ManagedRecord[] =>
  events.map((event, seq) => ({ v: 1, seq, at: 2000 + seq * 10, mono: seq, event }));

test('the report of any journal has the common shape, and sums up its time', () => {
  fc.assert(
    fc.property(anyPlanned, fc.array(anyEvent, { maxLength: 30 }), (first, events) => {
      const records = recordsOf([first, ...events]);
      const found = managedReport(records, 5000);
      assert.ok(found !== undefined);
      assert.deepEqual(report.parse(found), found);
      const spent = found.phases.reduce((sum, { ms }) => sum + ms, 0);
      assert.ok(spent <= found.totalMs + 1);
      const state = replayManaged(records.map(({ event }) => event));
      assert.ok(state !== undefined);
      assert.equal(progress.safeParse(managedProgress(state, 10)).success, true);
      assert.equal(found.outcome === 'running' ? found.phase : found.outcome, found.phase);
    }),
  );
});

test('a report lists the newest rounds if there are more than it may list', () => {
  const rounds = Array.from({ length: 10_050 }, (_, index): ManagedEvent => {
    return { type: 'saw', task: { state: 'running', memory: sampleOf({ round: index + 1 }) } };
  });
  const found = managedReport(recordsOf([planned(), ...MOVING, ...rounds]), 5000);
  assert.equal(report.safeParse(found).success, true, 'whoever asks for it can read it');
  assert.deepEqual([found?.roundList.length, found?.roundList.at(-1)?.round], [10_000, 10_049]);
});

test('a waiting migration shows the reason in its progress, and the report shows the result', () => {
  const settings = { notBefore: '2026-05-01T01:00:00.000Z', whenQuiet: { withinMs: 60_000 } };
  const first = planned(settings);
  const state = replayManaged([first]);
  assert.ok(state !== undefined);
  const { phase, note } = managedProgress(state, 10);
  assert.equal(phase, 'planned');
  assert.match(note ?? '', /^waits until 2026-05-01T01:00:00.000Z, and then for a quiet moment/);
  const facts = { beganAtMs: 2005, waited: 'the guest is quiet' };
  const found = managedReport(recordsOf([first, { type: 'did', step: 'wait', facts }]), 5000);
  assert.deepEqual(found?.decisions, [{ atMs: 1010, what: 'the guest is quiet' }]);
});

test('a report has the prediction of its earlier plan', () => {
  const range = { low: 1, middle: 2, high: 3 };
  const ranges = { bytes: range, totalMs: range, memoryMs: range, rounds: range };
  const gaps = { downtimeMs: range, clientGapMs: range };
  const converges = { probability: 1, why: 'it writes little' };
  const prediction = { level: 0.8, ...ranges, ...gaps, converges };
  const predicted = managedReport(recordsOf([{ ...planned(), prediction }]), 5000);
  assert.deepEqual([predicted?.prediction, predicted?.unpredicted], [prediction, undefined]);
});

test('a failed cleanup is in the report', () => {
  const where = { at: 'destination', busy: false } as const;
  const done: ManagedEvent[] = [
    planned(),
    ...MOVING,
    { type: 'saw', task: { state: 'done' } },
    { type: 'found', where },
    { type: 'timeout', step: 'finish', afterMs: 30_000 },
  ];
  const found = managedReport(recordsOf(done), 5000);
  assert.equal(found?.outcome, 'done');
  assert.deepEqual(
    found.leftovers?.map(({ code }) => code),
    ['GODWIT_DEADLINE'],
  );
});

test('a report of storage that moves alone never places the guest elsewhere', () => {
  const found = { type: 'found', where: { at: 'destination', busy: false } } as const;
  const wordsOf = (plan: ManagedEvent): string[] =>
    managedReport(recordsOf([plan, found]), 5000)?.decisions.map(({ what }) => what) ?? [];
  const plan = planned();
  assert.equal(plan.type, 'planned');
  assert.deepEqual(wordsOf(plan), ['the manager says that the guest is at: destination']);
  const alone = { ...plan, to: plan.from };
  assert.deepEqual(wordsOf(alone), ['the manager says that its storage is at: destination']);
});

test('a journal without records has no report', () => {
  assert.equal(managedReport([], 0), undefined);
});

test("the wire's figures are added up over its sessions, and a break is among the decisions", () => {
  const wire = { type: 'wire', figures: WIRE_FIGURES } as const;
  const found = managedReport(recordsOf([planned(), wire, { ...wire, why: 'a cut' }]), 5000);
  assert.equal(found?.wire?.linkBytes, 2 * WIRE_FIGURES.linkBytes);
  assert.ok(found.decisions.some(({ what }) => what === 'the wire ended: a cut'));
  assert.equal(found.diskLink, undefined);
});

test("the traffic of the disks' path is added up separately", () => {
  const disks = {
    sentBytes: 3,
    receivedBytes: 1,
    linkBytes: 5,
    cuts: 1,
    longestCutMs: 9,
    sessions: 1,
  };
  const wire = { type: 'wire', figures: WIRE_FIGURES, disks } as const;
  const found = managedReport(recordsOf([planned(), wire, wire]), 5000);
  const twice = {
    sentBytes: 6,
    receivedBytes: 2,
    linkBytes: 10,
    cuts: 2,
    longestCutMs: 9,
    sessions: 2,
  };
  assert.deepEqual(found?.diskLink, twice);
});

test('a report explains why nothing was predicted of a managed guest, unless it is shut down', () => {
  assert.match(
    managedReport(recordsOf([planned()]), 5000)?.unpredicted ?? '',
    /^a manager moves it, and no plan/,
  );
  const { settings, ...rest } = planned();
  const cold: ManagedEvent = { ...rest, settings: { ...settings, mode: 'cold' } };
  assert.equal(managedReport(recordsOf([cold]), 5000)?.unpredicted, undefined);
});
