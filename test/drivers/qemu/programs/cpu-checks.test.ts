import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  coldCpu,
  cpuChecks,
  type OwnProcessor,
} from '../../../../src/drivers/qemu/programs/cpu-checks.ts';
import { hostVendor } from '../../../../src/drivers/qemu/programs/processors.ts';
import type { CpuFacts } from '../../../../src/drivers/qemu/spec/facts.ts';

const INTEL: CpuFacts = {
  model: 'host',
  identity: { vendor: 'GenuineIntel', family: 6 },
  features: ['avx', 'sse2', 'vmx'],
  words: [{ eax: 1, ecx: 0, register: 'ECX', bits: 0x10 }],
};
const AMD: OwnProcessor = {
  host: 'b',
  accelerator: 'kvm',
  offered: ['avx', 'sse2', 'svm'],
  vendor: 'AuthenticAMD',
};
const check = (own: Partial<OwnProcessor>, isCold = false) =>
  cpuChecks('web1', INTEL, { ...AMD, ...own }, isCold)[0];

test('a guest under KVM is refused a host of another vendor by both names, with a cold move as the way out', () => {
  const found = check({ offered: INTEL.features });
  assert.equal(found?.error?.code, 'GODWIT_CPU_VENDOR');
  assert.match(found?.evidence ?? '', /CPU from Intel, and b has CPUs from AMD/);
  assert.match(found?.error?.hint ?? '', /--mode cold/);
});

test('a vendor does not matter for an emulated guest, or if it is unknown', () => {
  const own = { offered: INTEL.features };
  assert.equal(check({ ...own, accelerator: 'tcg' })?.verdict, 'pass');
  assert.equal(check({ ...own, vendor: undefined })?.verdict, 'pass');
  assert.equal(check({ ...own, vendor: 'GenuineIntel' })?.verdict, 'pass');
});

test("a cold-started guest accepts the other vendor's processor, without its missing features", () => {
  const found = check({}, true);
  assert.equal(found?.verdict, 'warn');
  assert.equal(found?.evidence, 'started anew on a processor of AMD, not Intel without vmx');
  const cpu = coldCpu(INTEL, AMD);
  assert.deepEqual(cpu, { model: 'host', identity: {}, features: ['avx', 'sse2'], words: [] });
});

test('a cold-started guest without missing features keeps its processor', () => {
  const own = { ...AMD, vendor: 'GenuineIntel', offered: INTEL.features };
  assert.equal(coldCpu(INTEL, own), INTEL);
  assert.equal(cpuChecks('web1', INTEL, own, true)[0]?.verdict, 'pass');
});

test('features that a host lacks are refused live, and left out of a cold start', () => {
  const own = { vendor: 'GenuineIntel', offered: ['sse2', 'vmx'] };
  assert.equal(check(own)?.error?.code, 'GODWIT_CPU_FEATURE');
  assert.equal(check(own, true)?.evidence, 'started anew without avx');
  assert.equal(coldCpu(INTEL, { ...AMD, ...own }).identity, INTEL.identity);
});

test('features of nested virtualisation that a host lacks are refused by their names', () => {
  for (const feature of ['vmx', 'svm']) {
    const guest = { ...INTEL, features: ['avx', 'sse2', feature] };
    for (const accelerator of ['kvm', 'tcg'] as const) {
      const own = { host: 'b', accelerator, offered: ['avx', 'sse2'] };
      const [found, ...others] = cpuChecks('web1', guest, own, false);
      assert.deepEqual(others, []);
      assert.equal(found?.error?.code, 'GODWIT_CPU_FEATURE');
      assert.equal(found?.error?.facts?.['features'], feature);
      const [passed] = cpuChecks('web1', guest, { ...own, offered: guest.features }, false);
      assert.equal(passed?.verdict, 'pass');
    }
  }
});

test("this machine's processor has a vendor", async () => {
  const vendor = await hostVendor();
  assert.match(vendor ?? 'none', /^.{1,12}$/);
});
