import { godwitError } from '../../../errors.ts';
import { pass, refusal, warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import { dispensedFeatures, missingFeatures } from '../spec/cpu.ts';
import type { CpuFacts } from '../spec/facts.ts';
import type { GuestSpec } from '../spec/schema.ts';

export interface OwnProcessor {
  readonly host: string;
  readonly accelerator: GuestSpec['accelerator']['name'];
  readonly offered: readonly string[];
  readonly vendor?: string | undefined;
}

const VENDORS: Readonly<Record<string, string>> = {
  GenuineIntel: 'Intel',
  AuthenticAMD: 'AMD',
  HygonGenuine: 'Hygon',
  CentaurHauls: 'Centaur',
  '  Shanghai  ': 'Zhaoxin',
};

/** Under KVM a guest uses its host's instructions, including vendor-specific ones. */
function foreignVendor(
  { identity }: Pick<CpuFacts, 'identity'>,
  { accelerator, vendor }: OwnProcessor,
): { readonly vendor: string; readonly other: string } | undefined {
  const of = identity['vendor'];
  if (accelerator !== 'kvm' || vendor === undefined || typeof of !== 'string') return undefined;
  const named = (each: string): string => VENDORS[each] ?? each;
  return of === vendor ? undefined : { vendor: named(of), other: named(vendor) };
}

/** Processor of a guest that is cold-started here: this host's vendor, without features that this host lacks. */
export function coldCpu<T extends CpuFacts>(cpu: T, own: OwnProcessor): T {
  const isForeign = foreignVendor(cpu, own) !== undefined;
  if (!isForeign && missingFeatures(cpu, own.offered).length === 0) return cpu;
  const features = cpu.features.filter((feature) => own.offered.includes(feature));
  // The earlier features are not compared, because the guest starts with another processor.
  return { ...cpu, identity: isForeign ? {} : cpu.identity, features, words: [] };
}

export function cpuChecks(
  guest: string,
  cpu: CpuFacts | undefined,
  own: OwnProcessor,
  isCold: boolean,
): NamedCheck[] {
  if (cpu === undefined) return [];
  const { host, offered } = own;
  const foreign = foreignVendor(cpu, own);
  const missing = missingFeatures(cpu, offered);
  if (isCold && (foreign !== undefined || missing.length > 0)) {
    const of =
      foreign === undefined ? '' : ` on a processor of ${foreign.other}, not ${foreign.vendor}`;
    const without = missing.length === 0 ? '' : ` without ${missing.join(', ')}`;
    const evidence = `started anew${of}${without}`;
    const hint = `Nothing to do if the guest's software finds its processor out as it starts, as operating systems do.`;
    return [warn('processor', evidence, hint, 'destination')];
  }
  if (foreign !== undefined) {
    const error = godwitError('GODWIT_CPU_VENDOR', { guest, host, ...foreign });
    return [refusal('processor', error, 'destination')];
  }
  if (missing.length > 0) {
    const features = missing.join(', ');
    const error = godwitError('GODWIT_CPU_FEATURE', { host, guest, features });
    return [refusal('processor', error, 'destination')];
  }
  const dispensed = dispensedFeatures(cpu, offered);
  if (dispensed.length > 0) {
    const evidence = `without ${dispensed.join(', ')}, which no software uses`;
    const hint = 'Nothing to do: these features have no use outside of a hypervisor’s tests.';
    return [warn('processor', evidence, hint, 'destination')];
  }
  const evidence = `all ${cpu.features.length} features of ${cpu.model}`;
  return [pass('processor', evidence, 'destination')];
}
