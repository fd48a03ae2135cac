import { KINDS, choice, pattern, type Kind } from './kinds.ts';
import { readTable } from './table.ts';

const SWITCHES = readTable(`
switch: usb i8042 hpet sata smbus nvdimm mem-merge dump-guest-core hmat graphics suppress-vmdesc
  fd-bootchk default-bus-bypass-iommu default_bus_bypass_iommu cxl aux-ram-share highmem secure
  virtualization mte ras pcie rtc isa-serial auto-kernel-cmdline option-roms x-option-roms its
auto: vmport smm acpi pic pit ioapic2
`);

export const MACHINE_PROPERTIES: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ...[...(SWITCHES.get('switch') ?? [])].map((name) => [name, KINDS.switch] as const),
  ...[...(SWITCHES.get('auto') ?? [])].map((name) => [name, KINDS.auto] as const),
  ['kernel-irqchip', choice('on off split')],
  ['kernel_irqchip', choice('on off split')],
  ['max-fw-size', KINDS.size],
  ['max-ram-below-4g', KINDS.size],
  ['bus-lock-ratelimit', KINDS.u64],
  ['memory-backend', KINDS.memdev],
  ['x-south-bridge', choice('PIIX3 PIIX3-xen piix3 piix4-isa')],
  ['smbios-entry-point-type', choice('32 64 auto')],
  ['nvdimm-persistence', choice('cpu mem-ctrl')],
  ['gic-version', choice('2 3 4 host max')],
]);

export const ACCELERATOR_PROPERTIES: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['thread', choice('single multi')],
  ['tb-size', KINDS.u32],
  ['split-wx', KINDS.auto],
  ['one-insn-per-tb', KINDS.switch],
]);

const MEMORY: readonly (readonly [string, Kind])[] = [
  ['size', KINDS.size],
  ['share', KINDS.switch],
  ['merge', KINDS.switch],
  ['dump', KINDS.switch],
  ['prealloc', KINDS.switch],
  ['prealloc-threads', KINDS.u32],
  ['reserve', KINDS.switch],
  ['policy', choice('default preferred bind interleave')],
  ['host-nodes', pattern('numbers of memory nodes', /^\d{1,4}(,\d{1,4}){0,127}$/)],
  ['x-use-canonical-path-for-ramblock-id', KINDS.switch],
];

const OBJECTS: ReadonlyMap<string, ReadonlyMap<string, Kind>> = new Map([
  ['memory-backend-ram', new Map(MEMORY)],
  [
    'memory-backend-memfd',
    new Map<string, Kind>([
      ...MEMORY,
      ['hugetlb', KINDS.switch],
      ['hugetlbsize', KINDS.size],
      ['seal', KINDS.switch],
    ]),
  ],
  [
    'iothread',
    new Map(
      'poll-max-ns poll-grow poll-shrink aio-max-batch thread-pool-min thread-pool-max'
        .split(' ')
        .map((name) => [name, KINDS.u64] as const),
    ),
  ],
  ['rng-builtin', new Map()],
  // Only the kernel's two random devices, no other file.
  ['rng-random', new Map([['filename', choice('/dev/urandom /dev/random')]])],
  ['throttle-group', new Map(limits().map((name) => [name, KINDS.u64] as const))],
  [
    'thread-context',
    new Map([
      ['cpu-affinity', KINDS.cpus],
      ['node-affinity', KINDS.cpus],
    ]),
  ],
  [
    'filter-buffer',
    new Map<string, Kind>([
      ['netdev', KINDS.netdev],
      ['interval', KINDS.u32],
      ['queue', choice('all rx tx')],
      ['status', KINDS.switch],
      ['position', choice('head tail')],
      ['insert', choice('behind before')],
    ]),
  ],
]);

export function objectProperties(type: string): ReadonlyMap<string, Kind> | undefined {
  return OBJECTS.get(type);
}

function limits(): string[] {
  const ways = ['total', 'read', 'write'];
  const each = ['iops', 'bps'].flatMap((what) => ways.map((way) => `x-${what}-${way}`));
  return [...each.flatMap((name) => [name, `${name}-max`, `${name}-max-length`]), 'x-iops-size'];
}
