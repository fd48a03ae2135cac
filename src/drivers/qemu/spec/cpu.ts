import type { CpuFacts, CpuWord } from './facts.ts';
import type { Scalar } from './options.ts';

/** Boolean properties of the processor object that are not CPUID features. */
export const NON_FEATURES =
  /^(hotplugged|hotpluggable|realized|start-powered-off|check|enforce|pmu|kvm|migratable|host-phys-bits|l3-cache|legacy-cache|host-cache-info|fill-mtrr-mask|cpuid-0xb|tcg-cpuid|xen-vapic|lmce|full-cpuid-auto-level|vmware-cpuid-freq|kvm-pv-enforce-cpuid|kvm-no-smi-migration|legacy-multi-node|(hv|x)-.*)$/;

/** Numeric processor settings outside its identity that the guest can notice. */
export const NUMBERS = /^(tsc-frequency|guest-phys-bits|ucode-rev)$/;

export const FEATURE_ALIASES = /^(sse3|pclmuldq|sse4-1|sse4-2|xd|ffxsr|i64|[^_]*_.*)$/;

export function featureNames(props: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(props)
    .filter(([name, on]) => on === true && !NON_FEATURES.test(name) && !FEATURE_ALIASES.test(name))
    .map(([name]) => name)
    .toSorted();
}

/** Features that no software relies on, each with the reason; the destination may omit them. */
export const DISPENSABLE: Readonly<Record<string, string>> = {
  pcommit: 'the instruction was withdrawn before any processor had it',
};
/**
 * Bits that are not compared: the dispensable ones, and HTT and CmpLegacy, which mark several processors. Older
 * QEMUs show CmpLegacy to the guest without listing it as a feature.
 */
const UNCOMPARED_BITS: readonly CpuWord[] = [
  { eax: 7, ecx: 0, register: 'EBX', bits: 1 << 22 },
  { eax: 1, ecx: 0, register: 'EDX', bits: 1 << 28 },
  { eax: 0x8000_0001, ecx: 0, register: 'ECX', bits: 1 << 1 },
];

/** `max-x86_64-cpu` -> `max`. */
export function modelOfType(type: string): string {
  return type.replace(/-(x86_64|i386)-cpu$/, '');
}

export function missingFeatures(cpu: CpuFacts, offered: readonly string[]): string[] {
  const has = new Set(offered);
  return cpu.features.filter((feature) => !has.has(feature) && !(feature in DISPENSABLE));
}

export function dispensedFeatures(cpu: CpuFacts, offered: readonly string[]): string[] {
  const has = new Set(offered);
  return cpu.features.filter((feature) => !has.has(feature) && feature in DISPENSABLE);
}

/**
 * Properties for -cpu that give the same processor on a host whose best one has `offered`: guest features are
 * on, and the host's other features off, all explicitly.
 */
export function cpuProperties(
  cpu: CpuFacts,
  switches: Readonly<Record<string, Scalar>>,
  offered: readonly string[],
): [string, Scalar][] {
  const identity = Object.entries(cpu.identity).filter(
    // 0 address bits means the accelerator's default; a 32-bit processor's must not be set.
    ([key, value]) => !(key === 'phys-bits' && (value === 0 || !cpu.features.includes('lm'))),
  );
  const wanted = new Set(cpu.features);
  const on = cpu.features.filter((feature) => offered.includes(feature));
  const off = offered.filter((feature) => !wanted.has(feature));
  return [
    ...Object.entries(switches).filter(([key]) => NON_FEATURES.test(key) || NUMBERS.test(key)),
    ...identity,
    ...on.map((feature): [string, Scalar] => [feature, true]),
    ...off.map((feature): [string, Scalar] => [feature, false]),
  ];
}

/** Differences between two processors that the guest can see, as text; empty if there are none. */
export function cpuDifferences(source: CpuFacts, destination: CpuFacts): string[] {
  const differences: string[] = [];
  for (const word of source.words) {
    const other = destination.words.find((each) => sameWord(each, word));
    const ignored = UNCOMPARED_BITS.find((each) => sameWord(each, word))?.bits ?? 0;
    const bits = ((word.bits ^ (other?.bits ?? 0)) & ~ignored) >>> 0;
    if (bits !== 0) differences.push(`${wordName(word)} differs in 0x${bits.toString(16)}`);
  }
  for (const word of destination.words) {
    const known = source.words.some((each) => sameWord(each, word));
    if (!known && word.bits !== 0) {
      differences.push(`${wordName(word)} is 0x${word.bits.toString(16)} only at the destination`);
    }
  }
  for (const [key, value] of Object.entries(source.identity)) {
    const other = destination.identity[key];
    if (other !== undefined && other !== value) differences.push(`${key} ${value} became ${other}`);
  }
  return differences;
}

function sameWord(one: CpuWord, two: CpuWord): boolean {
  return one.eax === two.eax && one.ecx === two.ecx && one.register === two.register;
}

function wordName({ eax, ecx, register }: CpuWord): string {
  return `CPUID 0x${eax.toString(16)}/${ecx} ${register}`;
}
