import { shown, type HostDevice, type PassedThrough } from './device.ts';

export interface DeviceRequest {
  readonly index: number;
  readonly what: PassedThrough;
}

export interface Candidate {
  readonly device: HostDevice;
  readonly takenBy?: string | undefined;
}

export interface DeviceMatch {
  readonly chosen: ReadonlyMap<number, HostDevice>;
  readonly missing: readonly { readonly index: number; readonly why: string }[];
}

const MAX_SHOWN = 3;

/** Each candidate is used once. Equal devices are interchangeable, so the first that fits is chosen. */
export function matchDevices(
  wanted: readonly DeviceRequest[],
  candidates: readonly Candidate[],
): DeviceMatch {
  const chosen = new Map<number, HostDevice>();
  const missing: { index: number; why: string }[] = [];
  const used = new Set<Candidate>();
  for (const { index, what } of wanted) {
    const found = candidates.find((each) => !used.has(each) && whyNot(what, each) === undefined);
    if (found === undefined) {
      missing.push({ index, why: whyNone(what, candidates, used) });
      continue;
    }
    used.add(found);
    chosen.set(index, found.device);
  }
  return { chosen, missing };
}

function whyNone(
  what: PassedThrough,
  candidates: readonly Candidate[],
  used: ReadonlySet<Candidate>,
): string {
  if (candidates.length === 0) return 'it gives no device to guests that come';
  const reasons = candidates.map(
    (each) =>
      `${each.device.name} ${whyNot(what, each) ?? (used.has(each) ? 'is for another of its devices' : 'fits')}`,
  );
  const more = reasons.length - MAX_SHOWN;
  return `${reasons.slice(0, MAX_SHOWN).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}

export function whyNot(what: PassedThrough, { device, takenBy }: Candidate): string | undefined {
  const other = device.what;
  if (other.kind === 'mdev' || what.kind === 'mdev') {
    if (other.kind !== what.kind || !isSameType(what, other))
      return `is ${shown(other)}, not ${shown(what)}`;
  } else {
    const isSame = other.vendor === what.vendor && other.device === what.device;
    if (!isSame) return `is ${shown(other)}, not ${shown(what)}`;
    if (subsystemOf(other) !== subsystemOf(what))
      return `is made by ${subsystemOf(other)}, not by ${subsystemOf(what)}`;
    if (other.vgpuType !== what.vgpuType)
      return `is vGPU type ${other.vgpuType ?? 'none'}, not ${what.vgpuType ?? 'none'}`;
  }
  if (other.driver !== what.driver) return `is bound to ${other.driver}, not to ${what.driver}`;
  if (device.features !== undefined && !device.features.includes('stop-copy'))
    return `cannot load a state, as its driver ${other.driver} says`;
  return takenBy === undefined ? undefined : `is taken by ${takenBy}`;
}

function isSameType(
  what: Extract<PassedThrough, { kind: 'mdev' }> | PassedThrough,
  other: PassedThrough,
): boolean {
  if (what.kind !== 'mdev' || other.kind !== 'mdev') return false;
  if (what.typeName !== undefined && other.typeName !== undefined)
    return what.typeName === other.typeName;
  return what.type === other.type;
}

function subsystemOf(what: Extract<PassedThrough, { kind: 'pci' }>): string {
  return `${what.subsystemVendor}:${what.subsystemDevice}`;
}
