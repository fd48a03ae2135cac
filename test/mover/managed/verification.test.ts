import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProbeSearch } from '../../../src/network/probe/find.ts';
import type { WatchResult } from '../../../src/protocol/peer/probe.ts';
import { agentConfig } from '../../../src/config.ts';
import type { ManagedState } from '../../../src/migration/managed/state.ts';
import { ManagedVerification } from '../../../src/mover/managed/verification.ts';
import type { WatchedGuest } from '../../../src/mover/managed/other-hosts.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { gapAt, PLANNED, sleptClock } from './samples.ts';

const ADDRESS = '10.9.0.21';
const clock = sleptClock();

/** What is seen of a guest whose kernel gives these answers, one after the other: what its clock is ahead, ms, or nothing. */
async function seen(
  answers: (number | string)[],
  { known = true, late = false, state: given = PLANNED } = {},
): Promise<Record<string, string>> {
  const asked: string[] = [];
  const addresses = known ? { web1: ['fd00::21', ADDRESS] } : {};
  const network = { probe: { addresses } };
  const config = agentConfig.parse({ name: 'a', address: '10.0.0.1:1', stateDir: '/s', network });
  const verification = new ManagedVerification(config, clock, {
    ask: async (address) => {
      asked.push(address);
      const next = answers.shift() ?? 'no answer';
      return typeof next === 'string' ? next : { aheadMs: next, tookMs: 2 };
    },
  });
  const order: ManagedState['order'] = late ? 'accepted' : 'none';
  verification.before(() => ({ ...PLANNED, order }));
  await new Promise((resolve) => setImmediate(resolve));
  const { verified: checks } = await verification.results(given);
  assert.ok(asked.every((each) => each === ADDRESS));
  return Object.fromEntries(
    checks.map(({ name, verdict, notTried, evidence }) => [
      name,
      `${notTried === true ? 'not tried' : verdict}: ${evidence}`,
    ]),
  );
}

const GAP = gapAt(ADDRESS);

/** What a watch of a guest comes to, where that is its outcome, and what it was asked to watch. */
async function watched(
  outcome: WatchResult,
  {
    probe = { addresses: { web1: [ADDRESS] } },
    memoryBytes = 0,
  }: { probe?: object | 'off'; memoryBytes?: number } = {},
): Promise<{ wanted: ProbeSearch[]; found: Awaited<ReturnType<ManagedVerification['results']>> }> {
  const wanted: ProbeSearch[] = [];
  const network = { probe };
  const config = agentConfig.parse({ name: 'a', address: '10.0.0.1:1', stateDir: '/s', network });
  const clock = sleptClock(5000);
  const verification = new ManagedVerification(config, clock, {
    ask: async () => 'no answer',
    askedAtMs: 3000,
    watch: (what) => {
      wanted.push(what);
      return { end: async () => outcome, close: async () => undefined };
    },
  });
  // A check is tried again, and the guest is watched once.
  verification.watch({ ...PLANNED, memoryBytes });
  verification.watch({ ...PLANNED, memoryBytes });
  return { wanted, found: await verification.results(PLANNED) };
}

describe('a probed managed guest', () => {
  test("a probed managed guest has its agent's gap in the report, and counts as reached if it answers", async () => {
    const { wanted, found } = await watched(GAP);
    const [asked] = wanted;
    assert.equal(wanted.length, 1);
    assert.deepEqual([asked?.nics, asked?.addresses], [[], [ADDRESS]]);
    const [vantage] = found.vantages ?? [];
    assert.deepEqual([vantage?.host, vantage?.gapMs, vantage?.gapAtMs], ['a', 90, 1600]);
    const reached = found.verified.find(({ name }) => name === 'reached');
    assert.equal(reached?.evidence, `it answers a (icmp to ${ADDRESS})`);
  });

  test('a probed managed guest is watched by other hosts too, and in doubt if one no longer reaches it', async () => {
    const config = (probe: object) =>
      agentConfig.parse({ name: 'a', address: '10.0.0.1:1', stateDir: '/s', network: { probe } });
    const others = async (isOpen: boolean, probe: object = { addresses: { web1: [ADDRESS] } }) => {
      const asked: WatchedGuest[] = [];
      const verification = new ManagedVerification(config(probe), clock, {
        ask: async () => 'no answer',
        watch: () => ({ end: async () => GAP, close: async () => undefined }),
        others: {
          begin: (what) => void asked.push(what),
          results: async () => [{ host: 'c', ...GAP.seen!, isOpen }],
          close: async () => undefined,
        },
      });
      verification.watch(PLANNED);
      const { vantages = [], verified } = await verification.results(PLANNED);
      const reached = verified.find(({ name }) => name === 'reached');
      return { asked, hosts: vantages.map(({ host }) => host), reached };
    };
    const fine = await others(false);
    assert.deepEqual(fine.hosts, ['a', 'c']);
    assert.deepEqual(
      fine.asked.map(({ guest, ends }) => [guest, ends]),
      [['web1', ['a', 'b']]],
    );
    assert.match(fine.reached?.evidence ?? '', /it answers a .*, c /);
    const doubt = await others(true);
    assert.deepEqual(
      [doubt.reached?.verdict, doubt.reached?.evidence],
      ['warn', 'it does not answer c any more'],
    );
    // This host has no part in it: the others are asked all the same.
    const elsewhere = await others(false, { hosts: ['c'], addresses: { web1: [ADDRESS] } });
    assert.equal(elsewhere.asked.length, 1);
    assert.equal((await others(false, {})).asked.length, 0);
  });

  test('a probed managed guest is in doubt if it answered during the move and is silent at the end', async () => {
    const { found } = await watched({ seen: { ...GAP.seen!, isOpen: true } });
    assert.equal(found.verified.find(({ name }) => name === 'reached')?.verdict, 'warn');
  });

  test('a managed guest is probed less often if the move may take long', async () => {
    assert.equal((await watched(GAP, { memoryBytes: 1024 ** 3 })).wanted[0]?.leastIntervalMs, 0);
    assert.equal(
      (await watched(GAP, { memoryBytes: 8 * 1024 ** 3 })).wanted[0]?.leastIntervalMs,
      50,
    );
  });

  test('an unanswered probe is reported as such, and probing can be turned off', async () => {
    const silent = await watched({ notTried: 'ICMP: no answer' });
    assert.deepEqual(silent.found.vantages, [
      { host: 'a', notTried: 'not reached by probes: ICMP: no answer' },
    ]);
    const unknown = await watched(GAP, { probe: {} });
    assert.match(unknown.found.vantages?.[0]?.notTried ?? '', /^no address of the guest is known/);
    const elsewhere = { hosts: ['c'], addresses: { web1: [ADDRESS] } };
    const other = await watched(GAP, { probe: elsewhere });
    assert.match(other.found.vantages?.[0]?.notTried ?? '', /does not name a/);
    const off = await watched(GAP, { probe: 'off' });
    assert.deepEqual(
      [unknown, other, off].map(({ wanted }) => wanted.length),
      [0, 0, 0],
    );
    assert.equal(off.found.vantages, undefined);
  });

  test('a managed guest has no gap if another mover began it, whose watch ended with it', async () => {
    const config = agentConfig.parse({
      name: 'a',
      address: '10.0.0.1:1',
      stateDir: '/s',
      network: { probe: { addresses: { web1: [ADDRESS] } } },
    });
    const late = new ManagedVerification(config, clock, { ask: async () => 'no answer' });
    const { vantages } = await late.results(PLANNED);
    assert.match(vantages?.[0]?.notTried ?? '', /^another mover began the migration/);
  });

  test('a managed guest is no longer watched once its mover ends', async () => {
    const config = agentConfig.parse({
      name: 'a',
      address: '10.0.0.1:1',
      stateDir: '/s',
      network: { probe: { addresses: { web1: [ADDRESS] } } },
    });
    let closed = 0;
    const end = async (): Promise<WatchResult> => GAP;
    const given = new ManagedVerification(config, clock, {
      watch: () => ({ end, close: async () => void (closed += 1) }),
    });
    given.watch(PLANNED);
    await given.close();
    assert.equal(closed, 1);
  });
});

describe('a moved managed guest', () => {
  test('a moved managed guest is confirmed by its answers and its running clock, not just by its manager', async () => {
    const found = await seen([10, -60, -60]);
    assert.equal(found['copies'], 'pass: its manager has it at b, and no more at a');
    assert.match(found['guest-clock'] ?? '', /^pass: its clock is 70 ms behind/);
    assert.equal(found['reached'], 'pass: it answers a (ICMP to 10.9.0.21)');
  });

  test('a moved managed guest counts as unseen if only its source has reported', async () => {
    const found = await seen([10, -60, -60], { state: { ...PLANNED, unseen: true } });
    assert.equal(
      found['copies'],
      'not tried: not tried: a does not have it any more, and b did not answer',
    );
  });

  test('a managed guest whose storage alone has moved is reported at its old host', async () => {
    const settings = migrationSettings.parse({ datastore: 'D:/VMs' });
    const alone = { ...PLANNED, plan: { ...PLANNED.plan, to: 'a', settings } };
    const found = await seen([10, -60, -60], { state: alone });
    assert.equal(
      found['copies'],
      'pass: its manager has it at a as before, with its storage at D:/VMs',
    );
  });

  test('a moved managed guest is in doubt if it is silent only now, or its clock is far off', async () => {
    const silent = await seen([10]);
    assert.match(silent['reached'] ?? '', /^warn: .* answered a before the move, and does not/);
    assert.match(silent['guest-clock'] ?? '', /^not tried/);
    assert.match((await seen([0, -9000, -9000]))['guest-clock'] ?? '', /^warn: .*9\.?0? s behind/);
  });

  test('the report names missing facts: no address, no earlier answer, or one that came too late', async () => {
    assert.match((await seen([1, 1, 1], { known: false }))['reached'] ?? '', /no IPv4 address/);
    assert.match((await seen([]))['reached'] ?? '', /^not tried: .*before the move either/);
    const late = await seen([1, 1, 1], { late: true });
    assert.match(late['guest-clock'] ?? '', /^not tried: .*not known before the move/);
  });
});
