import type { Inventory, PlannerGuest } from './inventory.ts';

/** A guest with much more than it uses. Only a proposal. */
export interface Proposal {
  readonly guest: string;
  readonly host: string;
  readonly cpu?: Change;
  readonly memoryBytes?: Change;
  readonly words: string;
}

export interface Change {
  readonly now: number;
  readonly proposed: number;
}

export interface RightsizeOptions {
  readonly leastSamples: number;
  /** Quantile of the samples below the proposed size, before extra room. */
  readonly quantile: number;
  readonly room: number;
  /** Required saving, as a part of the present size. */
  readonly worth: number;
  /** Step of processor sizes: 1 for whole cores. */
  readonly step: number;
}

/** Memory is sized by its present use with more room, because a shortage hurts at once. */
const MEMORY_ROOM = 1.5;
const MEMORY_STEP = 512 * 1024 ** 2;

/** A day of samples, one per 5 minutes. */
export const RIGHTSIZE: RightsizeOptions = {
  leastSamples: 288,
  quantile: 0.99,
  room: 1.3,
  worth: 0.4,
  step: 1,
};

/** Guests with much spare processor or memory, most first. */
export function rightsize(
  { guests }: Inventory,
  options: RightsizeOptions = RIGHTSIZE,
): Proposal[] {
  return guests
    .map((guest) => ({ proposal: proposalFor(guest, options), guest }))
    .flatMap(({ proposal }) => (proposal === undefined ? [] : [proposal]))
    .toSorted((left, right) => spareOf(right) - spareOf(left));
}

function proposalFor(guest: PlannerGuest, options: RightsizeOptions): Proposal | undefined {
  const cpu = cpuChange(guest, options);
  const memoryBytes = memoryChange(guest, options);
  if (cpu === undefined && memoryBytes === undefined) return undefined;
  const parts: string[] = [];
  if (cpu !== undefined) {
    const used = percent(cpu.used / cpu.now);
    parts.push(
      `uses at most ${used} of its processor in ${percent(options.quantile)} of ${cpu.samples} samples: ${shown(cpu.proposed)} would do for ${shown(cpu.now)}`,
    );
  }
  if (memoryBytes !== undefined) {
    const gib = (bytes: number): string => `${shown(bytes / 1024 ** 3)} GiB`;
    parts.push(
      `${gib(memoryBytes.used)} of its memory are used: ${gib(memoryBytes.proposed)} would do for ${gib(memoryBytes.now)}`,
    );
  }
  return {
    guest: guest.name,
    host: guest.host,
    words: `${guest.name} ${parts.join('; ')}`,
    ...(cpu === undefined ? {} : { cpu: { now: cpu.now, proposed: cpu.proposed } }),
    ...(memoryBytes === undefined
      ? {}
      : { memoryBytes: { now: memoryBytes.now, proposed: memoryBytes.proposed } }),
  };
}

function cpuChange(
  { cpu, demand }: PlannerGuest,
  { leastSamples, quantile, room, worth, step }: RightsizeOptions,
): (Change & { used: number; samples: number }) | undefined {
  const sensible = demand.filter((each) => each >= 0 && each <= cpu * 1.01);
  if (sensible.length < leastSamples || sensible.length < demand.length) return undefined;
  const sorted = sensible.toSorted((left, right) => left - right);
  const used = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? cpu;
  const proposed = Math.max(step, Math.ceil((used * room) / step) * step);
  if (proposed > cpu * (1 - worth)) return undefined;
  return { now: cpu, proposed, used, samples: sensible.length };
}

function memoryChange(
  { memoryBytes, usedBytes }: PlannerGuest,
  { worth }: RightsizeOptions,
): (Change & { used: number }) | undefined {
  if (usedBytes === undefined || !(usedBytes > 0)) return undefined;
  const proposed = Math.ceil((usedBytes * MEMORY_ROOM) / MEMORY_STEP) * MEMORY_STEP;
  if (proposed > memoryBytes * (1 - worth)) return undefined;
  return { now: memoryBytes, proposed, used: usedBytes };
}

const spareOf = ({ cpu, memoryBytes }: Proposal): number =>
  Math.max(
    ...[cpu, memoryBytes].map((each) => (each === undefined ? 0 : 1 - each.proposed / each.now)),
  );

const shown = (value: number): string => Number(value.toPrecision(3)).toString();
const percent = (part: number): string => `${Math.round(part * 100)} %`;
