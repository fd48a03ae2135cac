import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentConfig } from '../../../src/config.ts';
import { initialManaged } from '../../../src/migration/managed/lifecycle.ts';
import type { ManagedState } from '../../../src/migration/managed/state.ts';
import { ManagedVerification } from '../../../src/mover/managed/verification.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import type { Clock } from '../../../src/clock.ts';

const ADDRESS = '10.9.0.21';
const { state } = initialManaged({
  type: 'planned',
  id: 'm-11111111',
  guest: 'web1',
  from: 'a',
  to: 'b',
  settings: migrationSettings.parse({}),
});

let nowMs = 0;
const clock: Clock = {
  wallMs: () => nowMs,
  monotonicMs: () => nowMs,
  sleep: async (ms) => void (nowMs += ms),
};

/** What is seen of a guest whose kernel gives these answers, one after the other: what its clock is ahead, ms, or nothing. */
async function seen(
  answers: (number | string)[],
  { known = true, late = false, state: given = state } = {},
): Promise<Record<string, string>> {
  const asked: string[] = [];
  const addresses = known ? { web1: ['fd00::21', ADDRESS] } : {};
  const network = { probe: { addresses } };
  const config = agentConfig.parse({ name: 'a', address: '10.0.0.1:1', stateDir: '/s', network });
  const verification = new ManagedVerification(config, clock, async (address) => {
    asked.push(address);
    const next = answers.shift() ?? 'no answer';
    return typeof next === 'string' ? next : { aheadMs: next, tookMs: 2 };
  });
  const order: ManagedState['order'] = late ? 'accepted' : 'none';
  verification.before(() => ({ ...state, order }));
  await new Promise((resolve) => setImmediate(resolve));
  const checks = await verification.results(given);
  assert.ok(asked.every((each) => each === ADDRESS));
  return Object.fromEntries(
    checks.map(({ name, verdict, notTried, evidence }) => [
      name,
      `${notTried === true ? 'not tried' : verdict}: ${evidence}`,
    ]),
  );
}

describe('a guest that its manager has moved, seen from outside of its hypervisor', () => {
  test('answers, with a clock that goes on, beside its manager’s word', async () => {
    const found = await seen([10, -60, -60]);
    assert.equal(found['copies'], 'pass: its manager has it at b, and no more at a');
    assert.match(found['guest-clock'] ?? '', /^pass: its clock is 70 ms behind/);
    assert.equal(found['reached'], 'pass: it answers a (ICMP to 10.9.0.21)');
  });

  test('has been seen by nobody where only its source has spoken', async () => {
    const found = await seen([10, -60, -60], { state: { ...state, unseen: true } });
    assert.equal(found['copies'], 'not tried: not tried: a has let it go, and b did not answer');
  });

  test('is said to be at its host as before where its storage alone has moved', async () => {
    const settings = migrationSettings.parse({ datastore: 'D:/VMs' });
    const alone = { ...state, plan: { ...state.plan, to: 'a', settings } };
    const found = await seen([10, -60, -60], { state: alone });
    assert.equal(
      found['copies'],
      'pass: its manager has it at a as before, with its storage at D:/VMs',
    );
  });

  test('is in doubt where it answered before and is silent now, or its clock is far off', async () => {
    const silent = await seen([10]);
    assert.match(silent['reached'] ?? '', /^warn: .* answered a before the move, and does not/);
    assert.match(silent['guest-clock'] ?? '', /^not tried/);
    assert.match((await seen([0, -9000, -9000]))['guest-clock'] ?? '', /^warn: .*9\.?0? s behind/);
  });

  test('says what was not known: no address, no answer before either, or one that came too late', async () => {
    assert.match((await seen([1, 1, 1], { known: false }))['reached'] ?? '', /no IPv4 address/);
    assert.match((await seen([]))['reached'] ?? '', /^not tried: .*before the move either/);
    const late = await seen([1, 1, 1], { late: true });
    assert.match(late['guest-clock'] ?? '', /^not tried: .*not known before the move/);
  });
});
