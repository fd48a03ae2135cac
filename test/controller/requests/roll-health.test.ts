import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotBack, type StageAnswer } from '../../../src/controller/requests/roll-health.ts';
import type { Roll } from '../../../src/protocol/controller/fleet-request.ts';
import { host, NOW, world } from './worlds.ts';

const before = { version: '1', bootId: 'boot-1' };
const reported = (
  more: Partial<Extract<StageAnswer, { of: 'host'; ok: true }>> = {},
): StageAnswer => ({
  of: 'host',
  ok: true,
  version: '1',
  bootId: 'boot-1',
  sampled: true,
  ...more,
});
const why = (
  heard: StageAnswer | undefined,
  promised: Roll['promised'] = {},
): string | undefined => {
  const roll: Roll = { at: 0, stage: 'waiting', sinceMs: NOW, away: [], before, promised };
  return whyNotBack(world({ hosts: [host('a')], guests: [] }), roll, 'a', heard);
};

test('an unchanged host whose samples come is back', () => {
  assert.equal(why(reported()), undefined);
  assert.match(why(reported({ sampled: false })) ?? '', /no sample/);
  assert.match(why(undefined) ?? '', /asked/);
  assert.match(why({ of: 'host', ok: false, words: 'refused' }) ?? '', /refused/);
});

test("the program's promised changes must be present", () => {
  assert.match(why(reported(), { boot: 'new' }) ?? '', /not been started anew/);
  assert.equal(why(reported({ bootId: 'boot-2' }), { boot: 'new' }), undefined);
  assert.match(why(reported(), { version: '2' }) ?? '', /is 1 and ought to be 2/);
  assert.equal(why(reported({ version: '2' }), { version: '2' }), undefined);
});

test('everything else must be as it was', () => {
  assert.match(why(reported({ bootId: 'boot-2' })) ?? '', /has not promised/);
  assert.match(why(reported({ version: '2' })) ?? '', /ought to be 1/);
});

test('a host that is silent to the controllers is not back, whatever it reports to one of them', () => {
  const roll: Roll = { at: 0, stage: 'waiting', sinceMs: NOW, away: [], before };
  const hosts = [host('a', { silentSinceMs: NOW })];
  assert.equal(whyNotBack(world({ hosts, guests: [] }), roll, 'a', reported()), 'it is silent');
  assert.equal(whyNotBack(world({ hosts: [], guests: [] }), roll, 'a', reported()), 'it is silent');
});
