import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock } from '../../../../../src/clock.ts';
import { agentConfig } from '../../../../../src/config.ts';
import { godwitError } from '../../../../../src/errors.ts';
import type { Life } from '../../../../../src/system/processes/life.ts';
import { SourceVerification } from '../../../../../src/mover/direct/source/network/verify.ts';
import type { Check } from '../../../../../src/protocol/public/migration.ts';
import { peerOf, turn, UNCHANGED } from '../answers.ts';

type Dependencies = ConstructorParameters<typeof SourceVerification>[0];

const attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 } as const;
const nic = { id: 'net0', mac: '52:54:00:00:00:21', port: 'tap0', attachment };
const SAME: Check = { name: 'same-machine', side: 'both', verdict: 'pass', evidence: 'all of it' };
const THERE: Check = { name: 'segment', side: 'destination', verdict: 'pass', evidence: 'answers' };

const GONE: Life = { state: 'gone', reason: 'no process has that number' };

interface Stage {
  readonly verify?: () => Promise<unknown>;
  readonly clocks?: (number | string)[];
  readonly addresses?: string[];
  readonly writers?: string[][];
  readonly network?: object;
  readonly plug?: readonly string[] | undefined;
  readonly life?: Life;
}

function stage({ verify, clocks = [], addresses = ['10.9.0.21'], ...more }: Stage) {
  const { writers = [[]], network = {}, plug, life = GONE } = more;
  let now = 0;
  const clock: Clock = {
    wallMs: () => now,
    monotonicMs: () => now,
    sleep: async (ms) => {
      now += ms;
    },
  };
  const asked: string[] = [];
  const askClock: ConstructorParameters<typeof SourceVerification>[2] = async (address) => {
    asked.push(address);
    const next = clocks.shift() ?? 'no answer';
    return typeof next === 'string' ? next : { aheadMs: next, tookMs: 2 };
  };
  const own = { name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere', network };
  const disks = [{ name: 'd', images: [{ node: 'd0', readOnly: false }] }];
  const state = {
    plan: { guest: 'web1', from: 'a', to: 'b', epoch: 1, settings: { plug } },
    known: { networks: [{ ...nic, addresses }], description: { disks } },
    stopped: false,
  };
  const context = {
    ...UNCHANGED,
    config: agentConfig.parse(own),
    request: { id: 'm-11111111' },
    peer: peerOf({ verify: verify ?? (async () => ({ checks: [THERE], machine: 'as it is' })) }),
    guest: {
      inspect: async () => ({ files: { d0: '/disks/d0' } }),
      diskWriters: async () => writers,
      life: async () => ({ life, what: 'process 4711' }),
    },
    probes: { stoodStillMs: 80 },
    state: () => state,
  } as unknown as Dependencies;
  const verification = new SourceVerification(context, clock, askClock);
  return { verification, asked, state };
}

const verdicts = (checks: readonly Check[]): Record<string, string> =>
  Object.fromEntries(
    checks.map(({ name, verdict, notTried }) => [name, notTried ? 'not tried' : verdict]),
  );

describe('verification after a move', () => {
  test("the source's mover reports the end of its hypervisor only if the kernel shows it", async () => {
    const copiesWith = async (life: Life): Promise<Check | undefined> => {
      const { verification } = stage({ life });
      const all = await verification.results([]);
      return all.find(({ name }) => name === 'copies');
    };
    assert.equal((await copiesWith(GONE))?.verdict, 'pass');
    const left = await copiesWith({ state: 'alive' });
    assert.equal(left?.verdict, 'warn');
    assert.match(left?.evidence ?? '', /at a has not ended \(process 4711\)/);
    const unknown = await copiesWith({ state: 'unknown', reason: 'it may not be looked into' });
    assert.equal(unknown?.notTried, true);
    assert.match(unknown?.evidence ?? '', /process 4711 at a has ended: it may not be looked into/);
  });

  test("the source's mover combines the findings of both hosts and of the guest", async () => {
    const { verification } = stage({ clocks: [10, -70, -70] });
    verification.before(async (there) => [{ ...SAME, evidence: `${String(there)}` }]);
    await turn();
    const all = await verification.results([]);
    assert.deepEqual(verdicts(all), {
      copies: 'pass',
      disks: 'pass',
      devices: 'pass',
      segment: 'pass',
      reached: 'not tried',
      connections: 'not tried',
      'guest-clock': 'pass',
    });
    assert.equal(all.find(({ name }) => name === 'devices')?.evidence, 'as it is');
  });

  test("the source's mover names each check that a destination did not report", async () => {
    const { verification } = stage({ verify: async () => ({ checks: [] }) });
    verification.before(async () => [SAME]);
    const all = await verification.results([]);
    for (const wanted of ['disks', 'segment', 'connections']) {
      const found = all.find(({ name, side }) => name === wanted && side === 'destination');
      assert.match(found?.evidence ?? '', /^not tried: b did not report it/, wanted);
      assert.equal(found?.notTried, true);
    }
  });

  test("the source's mover reports unknown devices only if some were to be plugged in", async () => {
    const plugged = async (plug?: readonly string[]) => {
      const { verification } = stage({ verify: async () => ({ checks: [] }), plug });
      const all = await verification.results([]);
      return all.filter(({ name }) => name === 'plugged').map(({ evidence }) => evidence);
    };
    assert.deepEqual(await plugged(['gpu0']), ['not tried: b did not report it']);
    assert.deepEqual(await plugged(), []);
  });

  test('a machine that differs, and a disk that is still written to here, are in doubt', async () => {
    const facts = { guest: 'web1', host: 'b', what: 'one device' };
    const error = godwitError('GODWIT_MACHINE_DIFFERS', facts);
    const { verification } = stage({ writers: [['other (process 9)']] });
    const differs: Check = {
      ...SAME,
      verdict: 'refuse',
      evidence: 'it differs',
      error: error.toJSON(),
    };
    verification.before(async () => [differs]);
    const found = verdicts(await verification.results([]));
    assert.equal(found['devices'], 'warn');
    assert.equal(found['disks'], 'warn');
  });

  test('a destination that is silent or of an earlier build is unknown, with the reason', async () => {
    for (const [thrown, words] of [
      [
        godwitError('GODWIT_ROUTE_UNKNOWN', { method: 'POST', path: '/v1/verify' }),
        /does not look/,
      ],
      [godwitError('GODWIT_DEADLINE', { what: 'verify', deadlineMs: 8000 }), /8\.0 s/],
    ] as const) {
      const { verification } = stage({ verify: () => Promise.reject(thrown) });
      verification.before(async () => [SAME]);
      const all = await verification.results([]);
      const segment = all.find(({ name }) => name === 'segment');
      assert.equal(segment?.notTried, true);
      assert.match(segment?.evidence ?? '', words);
      assert.equal(verdicts(all)['devices'], 'not tried');
    }
  });

  test("the destination's answer counts for its checks, and never for facts of this host", async () => {
    const lies = ['copies', 'guest-clock', 'newer'].map((name) => ({ ...THERE, name }));
    const checks = [THERE, ...lies, { ...THERE, side: 'source' }];
    const { verification } = stage({ verify: async () => ({ checks }) });
    verification.before(async () => [SAME]);
    const all = await verification.results([]);
    const looks = all.map(({ name, side, notTried }) => `${name} ${side}${notTried ? '?' : ''}`);
    assert.deepEqual(looks, [
      'copies both',
      'disks destination?',
      'disks source',
      'devices both',
      'segment destination',
      'reached both?',
      'connections destination?',
      'guest-clock both?',
    ]);
  });

  test('a clock reading from after the switch is not compared with itself', async () => {
    const { verification, state } = stage({ clocks: [10, 10, 10] });
    verification.before(async () => [SAME]);
    state.stopped = true;
    await turn();
    assert.equal(verdicts(await verification.results([]))['guest-clock'], 'not tried');
  });

  test('a guest is not asked without an IPv4 address, nor if probing is off', async () => {
    for (const how of [{ addresses: ['fd09::21'] }, { network: { probe: 'off' } }]) {
      const { verification, asked } = stage(how);
      verification.before(async () => [SAME]);
      assert.equal(verdicts(await verification.results([]))['guest-clock'], 'not tried');
      assert.deepEqual(asked, []);
    }
  });

  test('a mover that took over reports that the earlier machine and clock are unknown', async () => {
    const { verification } = stage({ clocks: [1, 1] });
    const found = verdicts(await verification.results([]));
    assert.equal(found['devices'], 'not tried');
    assert.equal(found['guest-clock'], 'not tried');
  });
});
