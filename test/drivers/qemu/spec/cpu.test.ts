import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  cpuDifferences,
  cpuProperties,
  dispensedFeatures,
  missingFeatures,
  modelOfType,
} from '../../../../src/drivers/qemu/spec/cpu.ts';
import type { CpuFacts } from '../../../../src/drivers/qemu/spec/facts.ts';

const CPU: CpuFacts = {
  model: 'max',
  identity: { family: 15, vendor: 'AuthenticAMD', 'phys-bits': 0 },
  features: ['avx', 'pcommit', 'sse2'],
  words: [
    { eax: 1, ecx: 0, register: 'ECX', bits: 0x10 },
    { eax: 7, ecx: 0, register: 'EBX', bits: 1 << 22 },
  ],
};

describe('the processor at the destination', () => {
  test('each processor feature is stated: on if the guest has it, else off', () => {
    const feature = fc.stringMatching(/^[a-z]{2,6}$/);
    fc.assert(
      fc.property(fc.uniqueArray(feature), fc.uniqueArray(feature), (features, offered) => {
        const props = new Map(cpuProperties({ ...CPU, features }, {}, offered));
        for (const each of offered) assert.equal(props.get(each), features.includes(each));
      }),
    );
  });

  test('the processor leaves address bits to the accelerator if the guest did', () => {
    assert.ok(!cpuProperties(CPU, {}, []).some(([key]) => key === 'phys-bits'));
  });

  test('the processor has every feature that the guest uses, and may lack unused ones', () => {
    assert.deepEqual(missingFeatures(CPU, ['sse2']), ['avx']);
    assert.deepEqual(dispensedFeatures(CPU, ['sse2', 'avx']), ['pcommit']);
  });

  test('the features that newer microcode removed are reported as missing, by name', () => {
    const guest = { ...CPU, features: ['hle', 'rtm', 'sse2'] };
    assert.deepEqual(missingFeatures(guest, ['sse2']), ['hle', 'rtm']);
    assert.deepEqual(dispensedFeatures(guest, ['sse2']), []);
  });

  test('the processor is compared word by word, except for the dispensable bits', () => {
    const words = [{ eax: 1, ecx: 0, register: 'ECX', bits: 0x10 }];
    assert.deepEqual(cpuDifferences(CPU, { ...CPU, words }), []);
    const other = { ...CPU, words: [{ eax: 1, ecx: 0, register: 'ECX', bits: 0x11 }] };
    assert.deepEqual(cpuDifferences(CPU, other), ['CPUID 0x1/0 ECX differs in 0x1']);
    const more = { ...CPU, words: [...CPU.words, { eax: 36, ecx: 0, register: 'EBX', bits: 2 }] };
    assert.match(cpuDifferences(CPU, more)[0] ?? '', /only at the destination/);
    const family = { ...CPU, identity: { ...CPU.identity, family: 6 } };
    assert.deepEqual(cpuDifferences(CPU, family), ['family 15 became 6']);
  });
});

test('a model is known by its type', () => {
  assert.equal(modelOfType('Skylake-Server-v4-x86_64-cpu'), 'Skylake-Server-v4');
});
