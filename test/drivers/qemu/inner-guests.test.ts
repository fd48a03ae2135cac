import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { judgeInnerGuests, ranInner } from '../../../src/drivers/qemu/inner-guests.ts';
import { fakeMonitor, Refusal } from './fake-monitor.ts';

const signal = AbortSignal.timeout(20_000);
const features = (...names: string[]) => ({
  model: 'host',
  identity: {},
  features: names,
  words: [],
});
const judge = (accelerator: 'kvm' | 'tcg', names: string[], ran?: boolean) =>
  judgeInnerGuests({ accelerator, cpu: features(...names) }, ran);

describe('inner guests', () => {
  test('inner guests under KVM cause a warning if some have run, or if they are not counted', () => {
    for (const ran of [true, undefined]) {
      const [intel, ...others] = judge('kvm', ['sse2', 'vmx'], ran);
      assert.deepEqual(others, []);
      assert.equal(intel?.verdict, 'warn');
      assert.match(intel?.evidence ?? '', /guests of its own.*\(vmx\).*version 5\.3/);
      assert.match(intel?.hint ?? '', /--mode cold/);
      const [amd] = judge('kvm', ['svm'], ran);
      assert.match(amd?.evidence ?? '', /\(svm\).*must not move while one of them runs/);
    }
    assert.match(judge('kvm', ['vmx'])[0]?.evidence ?? '', /not known/);
  });

  test('no warning is given if none has been run, the guest is emulated, or it cannot run any', () => {
    const names = fc.uniqueArray(fc.constantFrom('sse2', 'vmx', 'svm', 'avx'));
    const ran = fc.constantFrom(true, false, undefined);
    fc.assert(
      fc.property(names, ran, fc.constantFrom('kvm', 'tcg'), (has, counted, accelerator) => {
        const found = judge(accelerator, has, counted);
        const may = accelerator === 'kvm' ? has.filter((name) => /vmx|svm/.test(name)) : [];
        assert.equal(found.length, may.length);
        const verdict = counted === false ? 'pass' : 'warn';
        for (const each of found) assert.equal(each.verdict, verdict);
      }),
    );
  });

  test('inner guests are known if KVM counted them on any processor', async () => {
    const ran = async (...processors: (readonly [number, boolean])[]) =>
      ranInner(
        fakeMonitor(() =>
          processors.map(([nested, inside]) => ({
            provider: 'kvm',
            'qom-path': '/machine/unattached/device[0]',
            stats: [
              { name: 'guest_mode', value: inside },
              { name: 'nested_run', value: nested },
              { name: 'exits', value: 7 },
            ],
          })),
        ).client,
        signal,
      );
    assert.equal(await ran([0, false], [0, false]), false);
    assert.equal(await ran([0, false], [3, false]), true);
    assert.equal(await ran([0, true]), true);
    assert.equal(await ran(), undefined);
  });

  test('inner guests are unknown if QEMU or KVM does not count them', async () => {
    const answers = [new Refusal('The command query-stats has not been found'), 7, [{ stats: [] }]];
    for (const answer of answers)
      assert.equal(await ranInner(fakeMonitor(() => answer).client, signal), undefined);
  });
});
