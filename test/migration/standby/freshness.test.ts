import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ANSWERS_FOR_MS,
  judgeFreshness,
  MAX_UNCONFIRMED_MS,
  NOT_A_MEMBER_MS,
  UNCONFIRMED_EXPIRES_MS,
  whyExpired,
} from '../../../src/migration/standby/freshness.ts';
import type { KeptDescription } from '../../../src/migration/standby/freshness.ts';
import type { SourceSight } from '../../../src/migration/standby/source-sight.ts';

const DAY_MS = 86_400_000;
const kept = (more: Partial<KeptDescription> = {}): KeptDescription => ({
  digest: 'one',
  reportedDigest: 'one',
  confirmedAtMs: 0,
  ...more,
});
const reasonOf = (description: KeptDescription, sight: SourceSight, nowMs: number) => {
  const judged = judgeFreshness(description, sight, nowMs);
  return judged.kind === 'stale' ? judged.reason : 'fresh';
};

test('a description that was confirmed shortly before its host died is fresh, however long ago that is', () => {
  assert.equal(reasonOf(kept(), { silentSinceMs: 20_000 }, 20_000), 'fresh');
  assert.equal(reasonOf(kept(), { silentSinceMs: 20_000 }, 30 * DAY_MS), 'fresh');
});

test('a description that its host outlived without confirming it is stale', () => {
  const lateMs = MAX_UNCONFIRMED_MS + 1;
  assert.match(reasonOf(kept(), { silentSinceMs: lateMs }, DAY_MS), /may have lived for 60 s/);
  // Its agent had stopped, and its kernel answers still.
  assert.match(reasonOf(kept(), { answersSinceMs: 0 }, 3_600_000), /may have lived for 3600 s/);
  // Nobody has looked since this agent started.
  assert.match(reasonOf(kept(), {}, lateMs), /may have lived/);
});

test('a description whose host reported other disks or devices since is stale, however fresh that report is', () => {
  const changed = kept({ reportedDigest: 'two', confirmedAtMs: 10 });
  assert.match(reasonOf(changed, { silentSinceMs: 11 }, 12), /have changed since/);
});

test('a description of a host of an earlier build, which confirms none, is stale', () => {
  assert.match(reasonOf(kept({ digest: undefined }), {}, 0), /never confirmed/);
  assert.match(reasonOf(kept({ confirmedAtMs: undefined }), {}, 0), /never confirmed/);
});

test('a description is stale once another host had the guest later', () => {
  assert.match(reasonOf(kept({ laterAt: 'c' }), { silentSinceMs: 1 }, 2), /c had the guest later/);
});

test('no description expires while its host is dead or silent, however old it is', () => {
  const nowMs = 3650 * DAY_MS;
  for (const sight of [{}, { silentSinceMs: 5 }, { heardAtMs: 0 }])
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
    whyExpired({ atMs: 0, notMemberSinceMs: 5 }, { silentSinceMs: 1 }, nowMs);
  assert.equal(left(NOT_A_MEMBER_MS), undefined);
  assert.match(left(NOT_A_MEMBER_MS + 5) ?? '', /left the fleet/);
});
