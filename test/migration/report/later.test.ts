import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  afterAnswers,
  hostsToAsk,
  isLaterOver,
  laterFrom,
  laterState,
  withLater,
  type HostAnswer,
  type LaterState,
} from '../../../src/migration/report/later.ts';
import type { Later, ProbeReport } from '../../../src/protocol/public/probe.ts';

const END = Date.parse('2026-01-01T00:00:00Z');
const endedAt = new Date(END).toISOString();
const FOR = 600_000;
const seen = (given: Partial<Later> = {}): Later => ({
  sent: 10,
  answered: 9,
  gapMs: 5,
  forMs: 1000,
  complete: false,
  ...given,
});
const vantages: ProbeReport[] = [
  { host: 'c', goesOnMs: FOR },
  { host: 'd', goesNot: 'd probes 4 guests already' },
  { host: 'e', goesOnMs: FOR },
];
const begun = (): LaterState => {
  const state = laterFrom({ vantages, endedAt });
  assert.ok(state !== undefined);
  return state;
};
const answers = (given: Record<string, HostAnswer>) => new Map(Object.entries(given));

describe('later sightings by other hosts', () => {
  test('later sightings are requested from hosts that still probe, and from no host if none does', () => {
    assert.deepEqual(
      begun().hosts.map(({ host }) => host),
      ['c', 'e'],
    );
    assert.equal(laterFrom({ vantages: [vantages[1] as ProbeReport], endedAt }), undefined);
    assert.equal(laterFrom({ endedAt }), undefined);
  });

  test('later sightings are requested every thirty seconds, and at the end', () => {
    let state = begun();
    assert.deepEqual(hostsToAsk(state, END + 29_999), []);
    assert.deepEqual(hostsToAsk(state, END + 30_000), ['c', 'e']);
    state = afterAnswers(state, answers({ c: {}, e: {} }), END + FOR - 4000);
    assert.deepEqual(hostsToAsk(state, END + FOR - 1), []);
    assert.deepEqual(hostsToAsk(state, END + FOR), ['c', 'e']);
    state = afterAnswers(state, answers({ c: {}, e: {} }), END + FOR);
    assert.deepEqual(hostsToAsk(state, END + FOR + 999), []);
    assert.deepEqual(hostsToAsk(state, END + FOR + 1000), ['c', 'e']);
  });

  test('later sightings wait no longer than one interval if a clock was set back', () => {
    assert.deepEqual(hostsToAsk(begun(), END - 3_600_000), ['c', 'e']);
  });

  test('later sightings are the newest that a host reported; a silent host leaves the known ones', () => {
    const first = afterAnswers(begun(), answers({ c: { later: seen() }, e: {} }), END + 1000);
    const next = afterAnswers(first, answers({ c: { silent: 'c is off' }, e: {} }), END + 31_000);
    assert.deepEqual(next.hosts[0]?.later, seen());
    assert.equal(isLaterOver(next), false);
    const newer = seen({ sent: 20 });
    const last = afterAnswers(next, answers({ c: { later: newer } }), END + 61_000);
    assert.deepEqual(last.hosts[0]?.later, newer);
  });

  test('later sightings end once they are complete, or their host no longer knows the guest', () => {
    const complete = seen({ complete: true });
    const why = 'its agent was started anew meanwhile';
    const first = afterAnswers(begun(), answers({ c: { later: seen() }, e: {} }), END + 1000);
    const state = afterAnswers(
      first,
      answers({ c: { why }, e: { later: complete } }),
      END + 31_000,
    );
    assert.ok(isLaterOver(state));
    assert.deepEqual(hostsToAsk(state, END + FOR), []);
    assert.deepEqual(
      state.hosts.map(({ later }) => later),
      [seen({ ended: why }), complete],
    );
  });

  test('later sightings are given up some time after their end, with the reason', () => {
    const silent = 'c does not answer';
    const given = answers({ c: { silent }, e: { later: seen() } });
    assert.equal(isLaterOver(afterAnswers(begun(), given, END + FOR + 14_999)), false);
    const state = afterAnswers(begun(), given, END + FOR + 15_000);
    assert.ok(isLaterOver(state));
    assert.equal(state.hosts[0]?.later?.ended, silent);
    assert.deepEqual(state.hosts[1]?.later, seen({ ended: 'e did not end it in time' }));
  });

  test('later sightings last no longer than may be requested, whatever a host reports', () => {
    const state = laterFrom({ vantages: [{ host: 'c', goesOnMs: 1e12 }], endedAt });
    assert.equal(state?.hosts[0]?.untilMs, END + FOR);
  });

  test('later sightings that were never completed are reported as incomplete', () => {
    const state = afterAnswers(begun(), answers({ c: { later: seen() }, e: {} }), END + 1000);
    const report = { vantages, endedAt };
    assert.deepEqual(withLater(report, state, END + 2000).vantages?.[0]?.latency?.later, seen());
    assert.deepEqual(
      withLater(report, state, END + 2 * FOR).vantages?.map(({ latency }) => latency?.later?.ended),
      ['c was not asked for the rest of it in time', undefined, 'e was not asked for it in time'],
    );
  });

  test('later sightings always end, whatever hosts and clocks do, and can be stored at each step', () => {
    const answer = fc.oneof(
      fc.constant<HostAnswer>({}),
      fc.constant<HostAnswer>({ silent: 'off' }),
      fc.constant<HostAnswer>({ later: seen() }),
      fc.constant<HostAnswer>({ later: seen({ complete: true }) }),
      fc.constant<HostAnswer>({ why: 'gone' }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(answer, answer), { maxLength: 40 }), (all) => {
        let state = begun();
        let nowMs = END;
        const at = (index: number): [HostAnswer, HostAnswer] => all[index] ?? [{}, {}];
        for (let index = 0; index < 60 && !isLaterOver(state); index += 1) {
          nowMs = Math.max(nowMs, state.nextMs);
          const [c, e] = at(index);
          const asked = hostsToAsk(state, nowMs);
          assert.ok(asked.length > 0);
          const both = Object.entries({ c, e }).filter(([host]) => asked.includes(host));
          state = afterAnswers(state, new Map(both), nowMs);
          assert.deepEqual(laterState.parse(JSON.parse(JSON.stringify(state))), state);
        }
        assert.ok(isLaterOver(state));
        assert.ok(nowMs <= END + FOR + 16_000, `asked until ${nowMs - END} ms after the end`);
      }),
    );
  });

  test('later sightings are in the report, next to the sightings during the migration', () => {
    const before = { count: 1, p50Ms: 1, p99Ms: 1 };
    const report = { vantages: [{ host: 'c', goesOnMs: FOR, latency: { before } }], endedAt };
    const state = afterAnswers(begun(), answers({ c: { later: seen() } }), END + 1000);
    const {
      vantages: [shown],
    } = withLater(report, state, END + 2000);
    assert.deepEqual(shown?.latency, { before, later: seen() });
    assert.deepEqual(withLater({ endedAt }, state, END), { endedAt });
  });

  test('later sightings are unknown if they were not requested in time, and the report shows that', () => {
    const report = { vantages: [vantages[0] as ProbeReport], endedAt };
    assert.deepEqual(withLater(report, undefined, END + FOR), report);
    const {
      vantages: [shown],
    } = withLater(report, undefined, END + FOR + 60_000);
    const { later } = shown?.latency ?? {};
    assert.equal(later?.ended, 'c was not asked for it in time');
    assert.equal(later?.complete, false);
  });
});
