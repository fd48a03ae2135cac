import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  adviceOf,
  baselineOf,
  trapAt,
  type EvcMode,
  type HostFeatures,
} from '../../../../src/drivers/vsphere/judge/baseline.ts';
import { judgeEvc } from '../../../../src/drivers/vsphere/judge/judge-inventory.ts';

const feature = fc.constantFrom<string[]>(
  'cpuid.AES',
  'cpuid.AVX',
  'cpuid.AVX2',
  'cpuid.RTM',
  'cpuid.SHA',
);
const features = fc.uniqueArray(feature).map((each) => new Set(each));
const hosts = fc
  .array(features, { minLength: 1, maxLength: 5 })
  .map((all) => all.map((each, index) => ({ name: `h${index}`, features: each })));
const modes = fc
  .array(fc.record({ features, tier: fc.integer({ min: 0, max: 9 }) }), { maxLength: 6 })
  .map((all) => all.map((each, index): EvcMode => ({ key: `m${index}`, ...each })));

describe('the advised EVC mode of a cluster', () => {
  test('the advised mode is the highest one that each host can have', () => {
    fc.assert(
      fc.property(hosts, modes, (all, known) => {
        const suits = ({ features: wanted }: EvcMode): boolean =>
          wanted.size > 0 &&
          [...wanted].every((each) => all.every((host) => host.features.has(each)));
        const { mode } = baselineOf(all, known);
        if (mode !== undefined) assert.ok(suits(mode));
        for (const other of known.filter(suits))
          assert.ok(mode !== undefined && mode.tier >= other.tier);
      }),
    );
  });

  test('the advised mode does not depend on the order of the hosts', () => {
    fc.assert(
      fc.property(hosts, modes, (all, known) => {
        const there = baselineOf(all, known);
        const back = baselineOf(all.toReversed(), known);
        assert.deepEqual(there.mode, back.mode);
        assert.deepEqual(new Map(there.lacking), new Map(back.lacking));
      }),
    );
  });

  test('the advised mode traps no guest: it has no feature that any host lacks', () => {
    fc.assert(
      fc.property(hosts, modes, (all, known) => {
        const baseline = baselineOf(all, known);
        for (const lacks of baseline.lacking.values())
          for (const each of lacks) assert.ok(baseline.mode?.features.has(each) !== true);
        const { mode } = baseline;
        if (mode === undefined) return;
        // Under EVC a host shows what it has of the mode.
        const masked = all.map(({ name, features: own }) => ({
          name,
          features: own.intersection(mode.features),
        }));
        for (const host of masked)
          assert.equal(trapAt(host.name, host, baselineOf(masked, known)), undefined);
      }),
    );
  });

  test('the advised mode is not guessed if a host shows no features', () => {
    const all: HostFeatures[] = [
      { name: 'h0', features: new Set(['cpuid.AES']) },
      { name: 'h1', features: undefined },
    ];
    const mode = { key: 'm', tier: 1, features: new Set(['cpuid.AES']) };
    const baseline = baselineOf(all, [mode]);
    assert.equal(baseline.mode, undefined);
    assert.equal(adviceOf(baseline), 'no advice: the features of h1 are not shown');
  });
});

test('a guest on the newest host is trapped there, and one on the oldest is not', () => {
  const old = { name: 'old', features: new Set(['cpuid.AES']) };
  const young = { name: 'young', features: new Set(['cpuid.AES', 'cpuid.SHA']) };
  const baseline = baselineOf([old, young], []);
  assert.deepEqual(trapAt('young', young, baseline), { hosts: ['old'], features: ['cpuid.SHA'] });
  assert.equal(trapAt('old', old, baseline), undefined);
});

test('hosts of two vendors have no mode in common, and the fix explains it', () => {
  const baseline = baselineOf(
    [
      { name: 'i', features: new Set(['cpuid.Intel']) },
      { name: 'a', features: new Set(['cpuid.AMD']) },
    ],
    [{ key: 'intel-merom', tier: 1, features: new Set(['cpuid.Intel']) }],
  );
  const [found] = judgeEvc([{ name: 'c', baseline }]);
  assert.equal(found?.verdict, 'warn');
  assert.match(found.found, /no EVC mode in common; i lacks cpuid\.AMD; a lacks cpuid\.Intel/);
  assert.match(found.hint ?? '', /a cluster of their own/);
});
