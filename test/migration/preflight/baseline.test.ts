import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  baselineOf,
  baselinesOf,
  lostTo,
  readBaseline,
  shortOf,
  type CpuOffer,
} from '../../../src/migration/preflight/baseline.ts';
import type { Baseline } from '../../../src/protocol/public/hosts/processor.ts';

/** Few of each, so that hosts have some in common and differ in others. */
const FEATURES = ['avx', 'avx2', 'lm', 'rdseed', 'sse2', 'x2apic'];
const MODELS: Readonly<Record<string, readonly string[]>> = {
  'Big-v1': ['avx', 'avx2', 'lm', 'sse2'],
  'Middle-v1': ['avx', 'lm', 'sse2'],
  'Small-v1': ['lm', 'sse2'],
  Small: ['lm', 'sse2'],
  'Tiny-v2': [],
};

/** A host gives a model when it has all that the model stands for, and a QEMU that knows it. */
const offer = fc
  .record({
    vendor: fc.constant('GenuineIntel'),
    features: fc.subarray(FEATURES),
    known: fc.subarray(['Big-v1', 'Middle-v1', 'Small-v1', 'Small']),
  })
  .map(({ known, ...each }): CpuOffer => {
    const models = Object.entries(MODELS).filter(
      ([name, stands]) =>
        (name === 'Tiny-v2' || known.includes(name)) &&
        stands.every((feature) => each.features.includes(feature)),
    );
    return { ...each, models: models.map(([name, stands]) => ({ name, features: [...stands] })) };
  });
const offers = fc.array(offer, { minLength: 1, maxLength: 6 });

function found(hosts: readonly CpuOffer[]): Baseline {
  const baseline = baselineOf(hosts);
  if (typeof baseline === 'string') assert.fail(baseline);
  return baseline;
}

describe('the baseline of several hosts', () => {
  test('a baseline is accepted by every host', () => {
    fc.assert(
      fc.property(offers, (hosts) => {
        const baseline = found(hosts);
        for (const each of hosts) assert.deepEqual(shortOf(baseline, each), []);
      }),
    );
  });

  test('a baseline has every feature that all hosts have', () => {
    fc.assert(
      fc.property(offers, (hosts) => {
        const all = FEATURES.filter((feature) =>
          hosts.every(({ features }) => features.includes(feature)),
        );
        assert.deepEqual(found(hosts).features, all);
      }),
    );
  });

  test('a baseline lists each feature by the model or by name, and no other', () => {
    fc.assert(
      fc.property(offers, (hosts) => {
        const { argument, features, model } = found(hosts);
        const [name, ...settings] = argument.split(',');
        assert.equal(name, model);
        const said = settings.map((setting) => setting.replace(/=on$/, ''));
        assert.deepEqual([...(MODELS[model] ?? []), ...said].toSorted(), features);
      }),
    );
  });

  test('a baseline gains no feature from another host', () => {
    fc.assert(
      fc.property(offers, offer, (hosts, another) => {
        const before = new Set(found(hosts).features);
        assert.ok(found([...hosts, another]).features.every((feature) => before.has(feature)));
      }),
    );
  });

  test('a baseline does not depend on the order of the hosts', () => {
    const shuffled = offers.chain((hosts) =>
      fc.tuple(
        fc.constant(hosts),
        fc.shuffledSubarray(hosts, { minLength: hosts.length, maxLength: hosts.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([hosts, others]) => {
        assert.deepEqual(baselineOf(others), baselineOf(hosts));
      }),
    );
  });

  test("a baseline and the host's lost features together are the host's features", () => {
    fc.assert(
      fc.property(offers, (hosts) => {
        const baseline = found(hosts);
        for (const each of hosts) {
          const both = [...baseline.features, ...lostTo(baseline, each)].toSorted();
          assert.deepEqual(both, each.features);
        }
      }),
    );
  });
});

const HOST: CpuOffer = {
  vendor: 'GenuineIntel',
  features: ['avx', 'lm', 'rdseed', 'sse2'],
  models: [
    { name: 'Middle-v1', features: ['avx', 'lm', 'sse2'] },
    { name: 'Small-v1', features: ['lm', 'sse2'] },
  ],
};

test('the model of a baseline is the richest one', () => {
  const old = { ...HOST, features: ['avx', 'lm', 'sse2'] };
  assert.equal(found([HOST]).argument, 'Middle-v1,rdseed=on');
  assert.equal(found([HOST, old]).argument, 'Middle-v1');
  assert.deepEqual(lostTo(found([HOST, old]), HOST), ['rdseed']);
});

test('a feature that a model includes on only some of the hosts is reported', () => {
  const newer = {
    ...HOST,
    models: [{ name: 'Middle-v1', features: ['avx', 'lm', 'rdseed', 'sse2'] }],
  };
  assert.equal(found([HOST, newer]).argument, 'Middle-v1,rdseed=on');
});

test('a baseline does not exist without hosts, for several vendors, or without a common model', () => {
  assert.equal(baselineOf([]), 'no-hosts');
  assert.equal(baselineOf([HOST, { ...HOST, vendor: 'AuthenticAMD' }]), 'vendors');
  assert.equal(
    baselineOf([{ ...HOST, models: [{ name: 'Small', features: ['lm', 'sse2'] }] }]),
    'models',
  );
});

test('a host that cannot provide a baseline gets the reason', () => {
  const other = { vendor: 'AuthenticAMD', features: ['lm', 'sse2'], models: [] };
  assert.deepEqual(shortOf(found([HOST]), other), [
    'its vendor is AuthenticAMD',
    'it has no Middle-v1',
    'it lacks avx, rdseed',
  ]);
});

test('a baseline is read as it is written, and includes the features of its model', () => {
  fc.assert(
    fc.property(offers, (hosts) => {
      const { argument, features, model } = found(hosts);
      assert.deepEqual(readBaseline(argument, hosts), { model, features });
    }),
  );
  assert.equal(readBaseline('host', [HOST]), 'host is no model with a version, such as Nehalem-v1');
  assert.equal(readBaseline('Small-v1,avx', [HOST]), 'avx is not written FEATURE=on');
});

describe('the baselines of a fleet', () => {
  const offered = { ...HOST, driver: 'qemu', version: '10.0.2', accelerator: 'tcg' };
  const guestWith = (guest: string, features: string[]) => ({
    guest,
    driver: 'qemu',
    accelerator: 'tcg',
    vendor: 'GenuineIntel',
    features,
  });

  test("a fleet's baselines report each host's loss, the guests that fit, and hosts without an answer", () => {
    const older = { ...offered, version: '7.2.0', features: ['avx', 'lm', 'sse2'] };
    const guests = [guestWith('new1', ['lm', 'rdseed']), guestWith('old1', ['lm'])];
    const { baselines, missing } = baselinesOf(
      [
        { host: 'a', answer: { offers: [offered], guests } },
        { host: 'b', answer: { offers: [older], guests: [] } },
        { host: 'c', answer: { offers: [], guests: [] } },
        { host: 'd', answer: { why: 'it is off' } },
      ],
      {},
    );
    const [one, ...more] = baselines;
    assert.deepEqual([one?.baseline?.argument, more.length], ['Middle-v1', 0]);
    assert.deepEqual(one?.hosts, [
      { host: 'a', version: '10.0.2', loses: ['rdseed'] },
      { host: 'b', version: '7.2.0', loses: [] },
    ]);
    assert.deepEqual(
      one.guests.map(({ guest, beyond }) => [guest, beyond]),
      [
        ['new1', ['rdseed']],
        ['old1', []],
      ],
    );
    assert.deepEqual([one.without, missing], [['c'], [{ host: 'd', why: 'it is off' }]]);
  });

  test("a fleet's baselines check whether a joining host can provide them, and are computed without it", () => {
    const weak = { ...offered, features: ['lm', 'sse2'], models: [] };
    const asked = [
      { host: 'a', answer: { offers: [offered], guests: [] } },
      { host: 'n', answer: { offers: [weak], guests: [] } },
    ];
    const [one] = baselinesOf(asked, { check: 'n' }).baselines;
    assert.equal(one?.baseline?.argument, 'Middle-v1,rdseed=on');
    assert.deepEqual(one.short, ['it has no Middle-v1', 'it lacks avx, rdseed']);
    assert.deepEqual(
      one.hosts.map(({ host }) => host),
      ['a'],
    );
  });
});
