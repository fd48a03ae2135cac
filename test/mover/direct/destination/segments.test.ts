import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { agentConfig } from '../../../../src/config.ts';
import type { Landing } from '../../../../src/network/landing.ts';
import type { Answer } from '../../../../src/network/segment/frames.ts';
import type { SegmentQuestion } from '../../../../src/network/segment/judge.ts';
import { askSegments, type Hear } from '../../../../src/mover/direct/destination/segments.ts';
import { check } from '../../../../src/protocol/public/migration.ts';
import type { Attachment, NicNetwork } from '../../../../src/protocol/network.ts';
import { planned, preparationOf } from '../../../migration/direct/samples.ts';
import { ROUTED_PORT } from '../../../network/host-facts.ts';
import { FAILS, fakeTools, type Answers } from '../../../network/fake-tools.ts';

const MAC = '52:54:00:00:00:02';
const OTHER = '52:54:00:00:00:09';
const ADDRESS = '10.9.0.7';
const GATEWAY = '10.9.0.1';

const attachment: Attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 };
const nic: NicNetwork = { id: 'net0', mac: MAC, port: 'tap0', addresses: [ADDRESS], attachment };
const landing: Landing = { kind: 'bridge', bridge: 'br1', mtu: 1500 };

/** The host has an address in the segment, and its default route leads there. */
const HERE: Answers = {
  'ip -j addr show': [{ ifname: 'br1', addr_info: [{ local: '10.9.0.2', prefixlen: 24 }] }],
  'ip -j -4 route show dev br1': [{ dst: 'default', gateway: GATEWAY }],
};

interface Setup {
  readonly heard?: readonly Answer[] | Error;
  readonly segmentCheck?: boolean;
  readonly answers?: Answers;
  readonly networks?: NicNetwork[];
  readonly landings?: Readonly<Record<string, Landing>>;
  readonly signal?: AbortSignal;
}

async function ask(t: TestContext, given: Setup = {}) {
  fakeTools(t, given.answers ?? HERE);
  const asked: SegmentQuestion[] = [];
  const hear: Hear = async (_id, _nic, _landing, questions) => {
    asked.push(questions);
    if (given.heard instanceof Error) throw given.heard;
    return [...(given.heard ?? [])];
  };
  const network = { segmentCheck: given.segmentCheck ?? true };
  const config = agentConfig.parse({
    name: 'b',
    address: '10.0.0.2:7443',
    stateDir: '/s',
    network,
  });
  const preparation = { ...preparationOf(planned()), networks: given.networks ?? [nic] };
  const landings = new Map(Object.entries(given.landings ?? { net0: landing }));
  const signal = given.signal ?? new AbortController().signal;
  const checks = await askSegments(config, 'm-1', preparation, { landings, hear }, signal);
  for (const each of checks) assert.ok(check.parse(each));
  return { checks, asked };
}

const own = { address: ADDRESS, mac: MAC };
const gateway = { address: GATEWAY, mac: '0c:00:00:00:00:01' };

describe('the segment of a NIC', () => {
  test("a segment is asked for the guest's addresses and the gateway, and passes if both answer", async (t) => {
    const { checks, asked } = await ask(t, { heard: [own, gateway] });
    assert.deepEqual(asked, [{ addresses: [ADDRESS], gateways: [GATEWAY] }]);
    assert.deepEqual(
      checks.map(({ name, side, verdict }) => [name, side, verdict]),
      [
        ['segment', 'destination', 'pass'],
        ['addresses', 'destination', 'pass'],
      ],
    );
    assert.match(checks[0]?.evidence ?? '', /^net0: 10\.9\.0\.7 answers on br1/);
  });

  test('a segment refuses the guest if another machine has its address, and names it and a remedy', async (t) => {
    const { checks } = await ask(t, { heard: [{ ...own, mac: OTHER }, gateway] });
    const [found] = checks;
    assert.deepEqual([found?.name, found?.verdict], ['segment', 'refuse']);
    assert.equal(found?.error?.code, 'GODWIT_DEVICE_UNMAPPED');
    assert.match(found.error.message, new RegExp(`net0.*web1.* b.*${OTHER}`));
    assert.match(found.error.hint ?? '', /give one of them another/);
    assert.equal(checks.length, 1);
  });

  test('a segment without any answer only causes a warning', async (t) => {
    const { checks } = await ask(t, { heard: [] });
    assert.deepEqual(
      checks.map(({ name, verdict }) => [name, verdict]),
      [
        ['segment', 'warn'],
        ['addresses', 'warn'],
      ],
    );
    assert.equal(checks[0]?.error, undefined);
  });

  const untried: Readonly<Record<string, readonly [Setup, RegExp]>> = {
    'where this host is not to ask': [{ segmentCheck: false }, /as this host is configured/],
    'of which no host knows an address': [
      { networks: [{ ...nic, addresses: [] }] },
      /neither host knows an address/,
    ],
    'where no port can be opened there': [{ heard: new Error('no macvtap here') }, /no macvtap/],
    'where this host cannot read its network': [
      { answers: { 'ip -j addr show': FAILS } },
      /it is to fail/,
    ],
  };
  for (const [which, [given, why]] of Object.entries(untried)) {
    test(`a segment is not checked, with a reason and no refusal: ${which}`, async (t) => {
      const { checks } = await ask(t, given);
      const [found] = checks;
      assert.deepEqual([found?.name, found?.verdict, found?.notTried], ['segment', 'pass', true]);
      assert.match(found?.evidence ?? '', why);
      assert.equal(checks.length, 1, 'what was not heard is judged');
    });
  }

  test('a routed guest has no segment, and keeps its address by its routes', async (t) => {
    const { checks, asked } = await ask(t, { landings: { net0: ROUTED_PORT } });
    assert.deepEqual(asked, []);
    assert.deepEqual(
      checks.map(({ name, verdict }) => [name, verdict]),
      [['addresses', 'pass']],
    );
  });

  test('a NIC without a place here has no segment check', async (t) => {
    const { checks, asked } = await ask(t, { landings: {} });
    assert.deepEqual([checks, asked], [[], []]);
  });

  test('a segment check stops with the caller that has given up', async (t) => {
    const over = AbortSignal.abort(new Error('cancelled'));
    await assert.rejects(ask(t, { signal: over }), /cancelled/);
  });
});
