import { formatOption, splitOption } from '../options.ts';
import { isProcessor, propertiesOf } from './devices.ts';
import {
  KINDS,
  ID,
  choice,
  misfit,
  pattern,
  type Kind,
  type DeclaredIds,
  isKind,
} from './kinds.ts';
import { kindOfProperty } from './properties.ts';
import { SMBIOS, NUMA } from './records.ts';
import { FAMILIES } from './families.ts';
import { readTable } from './table.ts';

/**
 * Options that a description carries in their original form. Each is parsed and written again: QEMU gets
 * Godwit's text with typed values, never the received text. Pure.
 */

/** Value of the option for QEMU, nothing for a flag; or the faulty part and its allowed form. */
export type Read =
  | { readonly ok: true; readonly value: string | undefined }
  | { readonly ok: false; readonly at: string; readonly allowed: string };

/** Keys with the kinds of their values; `head` may be given without its key. */
interface Keys {
  readonly keys: ReadonlyMap<string, Kind>;
  readonly head?: string;
  /** Keys that may repeat; for any other key, a second value would win unnoticed. */
  readonly repeated?: ReadonlySet<string>;
}

type Form =
  | { readonly kind: 'flag' }
  | { readonly kind: 'word'; readonly word: Kind }
  | ({ readonly kind: 'keys' } & Keys)
  /** The first part decides the allowed keys. */
  | { readonly kind: 'records'; readonly key: string; readonly records: ReadonlyMap<string, Keys> }
  | { readonly kind: 'global' };

const LAYOUTS =
  'ar bepo cz da de de-ch en-gb en-us es et fi fo fr fr-be fr-ca fr-ch hr hu is it ja lt lv mk nl no pl pt pt-br ru sl sv th tr';
const WATCHDOG = choice('reset shutdown poweroff inject-nmi pause debug none');
const flag: Form = { kind: 'flag' };

const FORMS: Readonly<Record<string, Form>> = {
  global: { kind: 'global' },
  boot: keys(
    {
      order: pattern('letters of drives', /^[a-p]{0,16}$/),
      once: pattern('letters of drives', /^[a-p]{0,16}$/),
      menu: KINDS.switch,
      'splash-time': KINDS.i32,
      'reboot-timeout': KINDS.i32,
      strict: KINDS.switch,
    },
    { head: 'order' },
  ),
  rtc: keys({
    base: pattern(
      'utc, localtime or a date',
      /^(utc|localtime|\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?)$/,
    ),
    clock: choice('host rt vm'),
    driftfix: choice('none slew'),
  }),
  smbios: { kind: 'records', key: 'type', records: SMBIOS },
  numa: { kind: 'records', key: '', records: NUMA },
  overcommit: keys({ 'mem-lock': choice('on off on-fault'), 'cpu-pm': KINDS.switch }),
  action: keys({
    reboot: choice('reset shutdown'),
    shutdown: choice('poweroff pause'),
    panic: choice('poweroff pause shutdown exit-failure none'),
    watchdog: WATCHDOG,
  }),
  'watchdog-action': { kind: 'word', word: WATCHDOG },
  k: { kind: 'word', word: choice(LAYOUTS) },
  vga: { kind: 'word', word: choice('none std cirrus vmware qxl virtio') },
  nic: { kind: 'word', word: choice('none') },
  net: { kind: 'word', word: choice('none') },
  usb: flag,
  'no-reboot': flag,
  'no-shutdown': flag,
  'no-acpi': flag,
  'no-hpet': flag,
  'no-fd-bootchk': flag,
  nodefaults: flag,
  'no-user-config': flag,
  audiodev: keys({ driver: choice('none'), id: id('an audio backend') }, { head: 'driver' }),
  drive: keys({
    if: choice('none ide scsi floppy virtio'),
    id: id('a drive'),
    media: choice('disk cdrom'),
    index: KINDS.u8,
    bus: KINDS.u8,
    unit: KINDS.u8,
  }),
  usbdevice: { kind: 'word', word: choice('tablet mouse keyboard') },
};

export function readOption(name: string, value: string | undefined, known?: DeclaredIds): Read {
  const form = Object.hasOwn(FORMS, name) ? FORMS[name] : undefined;
  if (form === undefined) return no('', `one of -${Object.keys(FORMS).join(', -')}`);
  if (form.kind === 'flag') {
    return value === undefined ? { ok: true, value } : no('', 'no value: it is a flag');
  }
  if (value === undefined) return no('', 'a value');
  switch (form.kind) {
    case 'word':
      return form.word.fits(value) ? { ok: true, value } : no('', form.word.allowed);
    case 'keys':
      return readKeys(partsOf(value, form.head), form, known);
    case 'records':
      return readRecord(value, form.key, form.records, known);
    case 'global':
      return readGlobal(value);
  }
}

export function idOfOption(value: string): string | undefined {
  return partsOf(value, 'driver').find(([key]) => key === 'id')?.[1];
}

type Parts = readonly (readonly [string, string])[];

/** Parses `a=b,c`: a part without `=` is a switch that is on, except that the first is the value of `head`. */
function partsOf(value: string, head: string | undefined): Parts {
  return splitOption(value)
    .map((part, index) => ({ part, index }))
    .filter(({ part }) => part !== '')
    .map(({ part, index }) => {
      const at = part.indexOf('=');
      if (at >= 0) return [part.slice(0, at), part.slice(at + 1)] as const;
      return index === 0 && head !== undefined ? ([head, part] as const) : ([part, 'on'] as const);
    });
}

function readKeys(parts: Parts, form: Keys, known: DeclaredIds | undefined, head?: string): Read {
  const seen = new Set<string>();
  for (const [key, held] of parts) {
    const of = form.keys.get(key);
    if (of === undefined) return no(key, `one of ${[...form.keys.keys()].join(', ')}`);
    const allowed = misfit(of, held, known);
    if (allowed !== undefined) return no(key, allowed);
    if (seen.has(key) && form.repeated?.has(key) !== true) return no(key, 'said once');
    seen.add(key);
  }
  return { ok: true, value: formatOption(head, parts) };
}

function readRecord(
  value: string,
  key: string,
  records: ReadonlyMap<string, Keys>,
  known: DeclaredIds | undefined,
): Read {
  const parts = partsOf(value, key);
  const type = parts.find(([name]) => name === key)?.[1] ?? '';
  const form = records.get(type);
  if (form === undefined) return no(key, `one of ${[...records.keys()].join(', ')}`);
  if (key === '') return readKeys(parts.slice(1), form, known, type);
  return readKeys(parts, { ...form, keys: new Map([...form.keys, [key, choice(type)]]) }, known);
}

interface Global {
  readonly driver: string;
  readonly property: string;
  readonly value: string;
}

/**
 * Parses `TYPE.PROPERTY=VALUE`, whose value QEMU takes literally, or `driver=TYPE,property=PROPERTY,value=VALUE`
 * in any order; undefined if it is neither or repeats a key.
 */
export function globalParts(text: string): Global | undefined {
  const [, head, tail, rest] = /^([^.=,]+)\.([^=,]+)=(.*)$/s.exec(text) ?? [];
  if (head !== undefined && tail !== undefined && rest !== undefined) {
    return { driver: head, property: tail, value: rest };
  }
  const parts = partsOf(text, undefined);
  const given = new Map(parts);
  const driver = given.get('driver');
  const property = given.get('property');
  const value = given.get('value');
  if (parts.length !== 3 || driver === undefined || property === undefined || value === undefined) {
    return undefined;
  }
  return { driver, property, value };
}

function readGlobal(text: string): Read {
  const parts = globalParts(text);
  if (parts === undefined)
    return no('', 'a type, one of its properties, and a value, each said once');
  const { driver, property, value } = parts;
  const of = globalKind(driver, property);
  if (of === undefined) return no(`${driver}.${property}`, 'a known property of a known type');
  if (!of.fits(value)) return no(`${driver}.${property}`, of.allowed);
  const words = [
    ['driver', driver],
    ['property', property],
    ['value', value],
  ] as const;
  return { ok: true, value: formatOption(undefined, words) };
}

/** A device's reference cannot apply to all devices of its type. */
function globalKind(driver: string, property: string): Kind | undefined {
  if (isProcessor(driver)) return ID.test(property) ? KINDS.switch : undefined;
  const has = (propertiesOf(driver) ?? CHIPS.get(driver))?.has(property) === true;
  const name = kindOfProperty(property);
  if (!has || !isKind(name)) return undefined;
  const of: Kind = KINDS[name];
  return of.names === undefined ? of : undefined;
}

function keys(all: Readonly<Record<string, Kind>>, more: Omit<Keys, 'keys'> = {}): Form {
  return { kind: 'keys', keys: new Map(Object.entries(all)), ...more };
}

function id(what: string): Kind {
  return pattern(`an id for ${what}`, ID);
}

function no(at: string, allowed: string): Read {
  return { ok: false, at, allowed };
}

export const CHIPS = readTable(
  `
apic kvm-apic: id vapic version
cfi.pflash01: big-endian device-width id0 id1 id2 id3 max-device-width num-blocks
  old-multiple-chip-handling sector-length secure width
fw_cfg_io: acpi-mr-restore dma_enabled x-file-slots
fw_cfg_mem: acpi-mr-restore data_width dma_enabled x-file-slots
hpet: hpet-intcap hpet-offset-saved msi timers
i440FX: acpi-index addr multifunction rombar romsize x-pcie-extcap-init x-pcie-lnksta-dllla
i440FX-pcihost: bypass-iommu pci-hole-end pci-hole-start pci-hole64-end pci-hole64-size
  pci-hole64-start short_root_bus x-config-reg-migration-enabled x-pci-hole64-fix
i8042: extended-state kbd-irq kbd-throttle mouse-irq
ICH9-LPC: acpi-index acpi-pci-hotplug-with-bridge-support acpi_disable_cmd acpi_enable_cmd addr
  cpu-hotplug-legacy disable_s3 disable_s4 enable_tco gpe0_blk gpe0_blk_len memory-hotplug-support
  multifunction noreboot pm_io_base rombar romsize s4_val sci_int smm-compat x-keep-pci-slot-hpc
  x-pcie-extcap-init x-pcie-lnksta-dllla x-smi-broadcast x-smi-cpu-hotplug x-smi-cpu-hotunplug
  x-smi-negotiated-features
ioapic: version
isa-i8259 kvm-i8259: elcr_addr elcr_mask iobase master
isa-pcspk: iobase migrate
isa-pit: iobase
kvm-ioapic: gsi_base
kvm-pit: iobase lost_tick_policy
kvmclock: x-mach-use-reliable-get-clock
mc146818rtc: base_year iobase irq lost_tick_policy
mch: acpi-index addr extended-tseg-mbytes multifunction rombar romsize smbase-smram
  x-pcie-extcap-init x-pcie-lnksta-dllla
migration: decompress-error-check send-configuration send-section-footer store-global-state
pci-device: +pci
PIIX4_PM: acpi-index acpi-pci-hotplug-with-bridge-support acpi-root-pci-hotplug addr disable_s3
  disable_s4 memory-hotplug-support multifunction rombar romsize s4_val smb_io_base smm-compat
  smm-enabled x-not-migrate-acpi-index x-pcie-extcap-init x-pcie-lnksta-dllla
q35-pcihost: MCFG above-4g-mem-size below-4g-mem-size bypass-iommu mcfg_size pci-hole-end
  pci-hole-start pci-hole64-end pci-hole64-size pci-hole64-start short_root_bus
  x-config-reg-migration-enabled x-pci-hole64-fix
usb-device: +usb
virtio-device: +virtio
virtio-mmio: force-legacy format_transport_address ioeventfd
virtio-pci: +pci +virtio +virtio-pci ioeventfd
vmport: vmware-vmx-type vmware-vmx-version x-cmds-v2 x-read-set-eax x-report-vmx-type
  x-signal-unsupported-cmd
`,
  FAMILIES,
);
