import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  judgeTsc,
  readTsc,
  scalesBy,
  tscChecks,
  type TscFacts,
} from '../../../../src/drivers/qemu/programs/tsc.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';

const FACTS: TscFacts = { guest: 'web1', host: 'b', isSet: false, scales: false };
const hz = fc.integer({ min: 500_000, max: 6_000_000 }).map((khz) => khz * 1000);
const maybe = <T>(from: fc.Arbitrary<T>) => fc.option(from, { nil: undefined });
const all = fc.record({
  guestHz: maybe(hz),
  hostHz: maybe(hz),
  isSet: fc.boolean(),
  scales: maybe(fc.boolean()),
});

describe('the TSC of a guest under KVM', () => {
  test('the TSC passes if the destination scales it, and is refused only if its frequency was set', () => {
    fc.assert(
      fc.property(all, (facts) => {
        const { verdict, evidence } = judgeTsc({ ...FACTS, ...facts });
        if (facts.scales !== false || facts.guestHz === undefined || facts.hostHz === undefined)
          assert.equal(verdict, 'pass', evidence);
        if (facts.scales !== true && verdict === 'pass' && facts.guestHz !== facts.hostHz)
          assert.match(evidence, /not known|as good as the same/);
        if (verdict === 'refuse') assert.ok(facts.isSet);
        if (verdict === 'warn') assert.ok(!facts.isSet);
      }),
    );
  });

  test('the TSC may differ within the tolerance of QEMU and KVM, and by nothing more', () => {
    const ppm = fc.integer({ min: -100_000, max: 100_000 });
    fc.assert(
      fc.property(hz, ppm, fc.boolean(), (guestHz, off, isSet) => {
        const hostHz = guestHz * (1 + off / 1_000_000);
        const { verdict } = judgeTsc({ ...FACTS, guestHz, hostHz, isSet });
        // Around the bound itself, rounding decides.
        if (Math.abs(off) < 250) assert.equal(verdict, 'pass');
        if (Math.abs(off) > 250) assert.equal(verdict, isSet ? 'refuse' : 'warn');
      }),
    );
  });

  test('a TSC that would run fast or slow is reported with both frequencies', () => {
    const slow = judgeTsc({ ...FACTS, guestHz: 2_892_749_000, hostHz: 2_799_999_000 });
    assert.match(slow.evidence, /2892\.749 MHz, and that of b 2799\.999 MHz.* 3\.2 % slow there/);
    assert.match(slow.hint ?? '', /kvm-clock/);
    const fast = judgeTsc({ ...FACTS, guestHz: 2_000_000_000, hostHz: 2_000_800_000 });
    assert.match(fast.evidence, /0\.040 % fast there$/);
    const set = { ...FACTS, isSet: true, guestHz: 2_500_000_000, hostHz: 2_600_000_000 };
    const refused = judgeTsc(set).error;
    assert.equal(refused?.code, 'GODWIT_CPU_FEATURE');
    assert.match(refused?.message ?? '', /a TSC of 2500\.000 MHz/);
  });

  test('TSC scaling is read from the flags of AMD, and from the line for guests of Intel', () => {
    assert.equal(scalesBy('flags\t\t: fpu tsc svm tsc_scale\n'), true);
    assert.equal(scalesBy('flags\t\t: fpu tsc svm\n'), false);
    const intel = 'flags\t\t: fpu tsc vmx\n';
    assert.equal(scalesBy(`${intel}vmx flags\t: vnmi ept tsc_scaling\n`), true);
    assert.equal(scalesBy(`${intel}vmx flags\t: vnmi ept\n`), false);
    assert.equal(scalesBy(intel), undefined);
    assert.equal(scalesBy(''), undefined);
  });

  test('the TSC frequency is read from the processor, and a frequency of 0 means unknown', async () => {
    const read = (answer: unknown) =>
      readTsc(fakeMonitor(() => answer).client, '/machine/cpu', AbortSignal.timeout(20_000));
    assert.equal(await read(2_596_142_000), 2_596_142_000);
    assert.equal(await read(0), undefined);
    assert.equal(await read(new Refusal('no such property')), undefined);
  });

  test('an emulated guest, or a cold-started one, needs no TSC check', async () => {
    const checks = async (name: 'kvm' | 'tcg', isCold: boolean) => {
      const description = { driver: 'qemu', name: 'web1', memoryBytes: 1, vcpus: 1, spec: {} };
      const spec = { accelerator: { name, props: {} } };
      const found = await tscChecks(
        { ...description, hypervisorVersion: '10.0' },
        spec,
        undefined,
        { host: 'b', isCold },
      );
      return found.map((each) => each.name);
    };
    assert.deepEqual(await checks('tcg', false), []);
    assert.deepEqual(await checks('kvm', true), []);
    assert.deepEqual(await checks('kvm', false), ['tsc']);
  });
});
