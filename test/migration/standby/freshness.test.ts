import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ANSWERS_FOR_MS,
  isLater,
  judgeFreshness,
  MAX_IN_TURNS_MS,
  MAX_MISSED_BEATS,
  MAX_UNCONFIRMED_MS,
  NOT_A_MEMBER_MS,
  UNCONFIRMED_EXPIRES_MS,
  whyExpired,
  whyOutlived,
  type KeptDescription,
} from '../../../src/migration/standby/freshness.ts';

const DAY_MS = 86_400_000;
const at = (ms: number, bootId = 'boot-1') => ({ bootId, uptimeMs: ms });
const kept = (more: Partial<KeptDescription> = {}): KeptDescription => ({
  digest: 'one',
  reportedDigest: 'one',
  confirmed: at(0),
  wasConfirmed: true,
  ...more,
});
const reasonOf = (description: KeptDescription, now = at(0)) => {
  const judged = judgeFreshness(description, now);
  return judged.kind === 'stale' ? judged.reason : 'fresh';
};

test('a description is fresh if its host is proved off within five minutes of the last confirmation', () => {
  assert.equal(MAX_UNCONFIRMED_MS, 300_000);
  assert.equal(reasonOf(kept(), at(MAX_UNCONFIRMED_MS)), 'fresh');
  assert.match(reasonOf(kept(), at(MAX_UNCONFIRMED_MS + 1)), /may have lived for 300 s/);
  assert.match(reasonOf(kept(), at(8 * 3_600_000)), /lived for 28800 s .*silence is not death/);
});

test('a description that was confirmed before this host was restarted is stale, however small the numbers are', () => {
  assert.match(reasonOf(kept(), at(10, 'boot-2')), /was restarted since/);
  assert.match(reasonOf(kept({ confirmed: undefined }), at(10)), /was restarted since/);
  assert.match(whyOutlived(at(10), at(5)) ?? '', /may have lived/);
});

test('a description whose host reported other disks or devices since is stale, however fresh that report is', () => {
  assert.match(reasonOf(kept({ reportedDigest: 'two' })), /have changed since/);
});

test('a description that its living host leaves out of two heartbeats is stale', () => {
  assert.equal(reasonOf(kept({ missedBeats: MAX_MISSED_BEATS - 1 })), 'fresh');
  assert.match(reasonOf(kept({ missedBeats: MAX_MISSED_BEATS })), /its last 2 heartbeats/);
});

test('a description of a host of an earlier build, which confirms none, is stale', () => {
  assert.match(reasonOf(kept({ digest: undefined })), /never confirmed/);
  assert.match(reasonOf(kept({ wasConfirmed: false, confirmed: undefined })), /never confirmed/);
});

test('a description is stale if a host that cannot be asked reported the guest later', () => {
  assert.match(reasonOf(kept({ laterAt: 'c' })), /^c reported later .* cannot be asked$/);
});

test('a host that described the guest after the last confirmation has it later', () => {
  assert.equal(isLater({ described: at(101), reported: at(101) }, at(100)), true);
  assert.equal(isLater({ described: at(99), reported: at(99) }, at(100)), false);
});

test('two hosts that confirm a guest in turns both have it, until one of them omits a heartbeat', () => {
  const inTurns = (reportedMs: number) =>
    isLater({ described: at(500), reported: at(reportedMs) }, at(1000));
  assert.equal(inTurns(1000 + MAX_IN_TURNS_MS), false);
  assert.equal(inTurns(1000 + MAX_IN_TURNS_MS + 1), true);
});

test("a report from before this host's restart precedes every later confirmation, and alternates with none", () => {
  assert.equal(isLater({ reported: at(900, 'boot-0') }, at(10)), false);
  assert.equal(isLater({}, at(10)), false);
  assert.equal(isLater({ reported: at(11) }, at(10)), true);
  assert.equal(isLater({ described: at(5, 'boot-0'), reported: at(11) }, at(10)), true);
});

test('no description expires while its host is dead or silent, however old it is', () => {
  const nowMs = 3650 * DAY_MS;
  for (const sight of [{}, { heardAtMs: 0 }])
    assert.equal(whyExpired({ atMs: 0 }, sight, nowMs), undefined);
});

test('a description expires if its host answers for an hour and has not confirmed it for seven days', () => {
  const nowMs = UNCONFIRMED_EXPIRES_MS;
  const since = (answersSinceMs: number) => whyExpired({ atMs: 0 }, { answersSinceMs }, nowMs);
  assert.match(since(nowMs - ANSWERS_FOR_MS) ?? '', /7 days/);
  // It has just come back, and has yet to confirm it.
  assert.equal(since(nowMs - ANSWERS_FOR_MS + 1), undefined);
  assert.equal(whyExpired({ atMs: 1 }, { answersSinceMs: 0 }, nowMs), undefined);
});

test('a description expires once its host has left the fleet for ten minutes, dead or not', () => {
  const left = (nowMs: number) =>
    whyExpired({ atMs: 0, notMemberSinceMs: 5 }, { heardAtMs: 1 }, nowMs);
  assert.equal(left(NOT_A_MEMBER_MS), undefined);
  assert.match(left(NOT_A_MEMBER_MS + 5) ?? '', /left the fleet/);
});
