/** Parses hardware health from sysfs files and smartctl's output. Pure. */

import { z } from 'zod';
import { MAX_SIGNALS, type HealthSignal } from '../../protocol/public/hosts/health.ts';
import { jsonOf } from '../../formats/json.ts';

export interface MemoryErrors {
  readonly part: string;
  readonly corrected: number;
  readonly uncorrected: number;
}

/** °C; a threshold is absent if the driver reports none. */
export interface Temperature {
  readonly part: string;
  readonly now: number;
  readonly most: number | undefined;
  readonly critical: number | undefined;
}

export interface LinkState {
  readonly part: string;
  /** Undefined if the link is administratively down. */
  readonly carrier: boolean | undefined;
  readonly errors: number;
  readonly packets: number;
  readonly changes: number;
}

export interface HealthLook {
  readonly atMs: number;
  readonly memory: readonly MemoryErrors[];
  readonly temperatures: readonly Temperature[];
  readonly links: readonly LinkState[];
  readonly disks: readonly HealthSignal[];
}

export function parseCount(text: string | undefined): number | undefined {
  const digits = /^\s*(\d{1,15})\s*$/.exec(text ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function parseDegrees(text: string | undefined): number | undefined {
  const digits = /^\s*(-?\d{1,9})\s*$/.exec(text ?? '')?.[1];
  const degrees = Number(digits) / 1000;
  return digits !== undefined && degrees > -100 && degrees < 300 ? degrees : undefined;
}

export const nameOf = (text: string | undefined, otherwise: string): string =>
  (text ?? '')
    .replaceAll(/[^\x20-\x7e]/g, '')
    .trim()
    .slice(0, 100) || otherwise;

const DEVICE = /^\/dev\/[A-Za-z0-9][A-Za-z0-9/_.-]{0,100}$/;
const KIND = /^[a-z][a-z0-9,+_-]{0,31}$/;

const scanned = z.object({ devices: z.array(z.unknown()) });
const device = z.object({ name: z.string().regex(DEVICE), type: z.string().regex(KIND) });

/** Disks and device types from `smartctl --scan --json`; empty for any other text. */
export function parseScan(text: string, most: number): { name: string; type: string }[] {
  const { data } = scanned.safeParse(jsonOf(text));
  const known = (data?.devices ?? []).flatMap((each) => device.safeParse(each).data ?? []);
  const disks = new Map(known.map((each) => [each.name, each]));
  return [...disks.values()].slice(0, most);
}

const amount = z.number().nonnegative().max(Number.MAX_SAFE_INTEGER).optional().catch(undefined);
const smart = z.object({
  smart_status: z.object({ passed: z.boolean() }).optional().catch(undefined),
  ata_smart_attributes: z
    .object({
      table: z
        .array(
          z.object({ id: z.number(), raw: z.object({ value: amount }) }).catch({ id: 0, raw: {} }),
        )
        .max(256),
    })
    .optional()
    .catch(undefined),
  nvme_smart_health_information_log: z
    .object({ critical_warning: amount, percentage_used: amount, media_errors: amount })
    .optional()
    .catch(undefined),
});

const ATTRIBUTES: Readonly<Record<number, string>> = {
  5: 'sectors were replaced',
  197: 'sectors wait to be replaced',
  198: 'sectors cannot be read',
};

/** Parses `smartctl --json -H -A` for one disk; undefined if it reports nothing, as for a disk in standby. */
export function parseSmart(part: string, text: string): HealthSignal[] | undefined {
  const { data } = smart.safeParse(jsonOf(text));
  const disk = (level: HealthSignal['level'], words: string): HealthSignal => ({
    kind: 'disk',
    level,
    part,
    words,
  });
  const { smart_status: status, ...logs } = data ?? {};
  const { nvme_smart_health_information_log: nvme, ata_smart_attributes: ata } = logs;
  if (status === undefined && nvme === undefined && ata === undefined) return undefined;
  const found: HealthSignal[] = [];
  if (status?.passed === false)
    found.push(disk('failing', 'the disk says that it is about to fail'));
  const warnings = nvme?.critical_warning ?? 0;
  if (warnings > 0)
    found.push(disk('failing', `its critical warnings are 0x${warnings.toString(16)}`));
  const media = nvme?.media_errors ?? 0;
  if (media > 0) found.push(disk('warning', `${media} media errors`));
  const used = nvme?.percentage_used ?? 0;
  if (used >= 100) found.push(disk('warning', `${used} % of the writes that it was made for`));
  for (const { id, raw } of ata?.table ?? []) {
    const words = ATTRIBUTES[id];
    if (words !== undefined && (raw.value ?? 0) > 0)
      found.push(disk('warning', `${raw.value} ${words}`));
  }
  return found;
}

const MANY_CORRECTED = 100;
const MANY_ERRORS = 100;
const MANY_ERRORS_SHARE = 1e-4;
const MANY_CHANGES = 10;
export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export function signalsOf(looks: readonly HealthLook[]): HealthSignal[] {
  const now = looks.at(-1);
  if (now === undefined) return [];
  const within = (ms: number): HealthLook => looks.find(({ atMs }) => now.atMs - atMs <= ms) ?? now;
  const all = [
    ...now.memory.flatMap((each) => ofMemory(each, before(within(DAY_MS).memory, each))),
    ...now.disks,
    ...now.temperatures.flatMap(ofTemperature),
    ...now.links.flatMap((each) =>
      ofLink(each, before(within(HOUR_MS).links, each), hadCarrier(looks, each)),
    ),
  ];
  const failing = all.filter(({ level }) => level === 'failing');
  return [...failing, ...all.filter(({ level }) => level !== 'failing')].slice(0, MAX_SIGNALS);
}

const before = <T extends { readonly part: string }>(
  all: readonly T[],
  { part }: T,
): T | undefined => all.find((each) => each.part === part);

/** A counter that was reset counts from 0. */
const more = (now: number, then: number | undefined): number =>
  then === undefined ? 0 : now >= then ? now - then : now;

function ofMemory(now: MemoryErrors, then: MemoryErrors | undefined): HealthSignal[] {
  const memory = (level: HealthSignal['level'], words: string): HealthSignal => ({
    kind: 'memory',
    level,
    part: now.part,
    words,
  });
  if (now.uncorrected > 0)
    return [
      memory('failing', `${now.uncorrected} errors that were not corrected since the host started`),
    ];
  const corrected = more(now.corrected, then?.corrected);
  if (corrected >= MANY_CORRECTED)
    return [memory('failing', `${corrected} corrected errors within a day`)];
  return corrected > 0 ? [memory('warning', `${corrected} corrected errors within a day`)] : [];
}

function ofTemperature({ part, now, most, critical }: Temperature): HealthSignal[] {
  const hot = (level: HealthSignal['level'], limit: number, what: string): HealthSignal[] => [
    { kind: 'temperature', level, part, words: `${now} °C, ${what} ${limit} °C` },
  ];
  if (critical !== undefined && now >= critical) return hot('failing', critical, 'critical from');
  return most !== undefined && now >= most ? hot('warning', most, 'high from') : [];
}

const hadCarrier = (looks: readonly HealthLook[], { part }: LinkState): boolean =>
  looks.some(({ links }) => links.some((each) => each.part === part && each.carrier === true));

function ofLink(now: LinkState, then: LinkState | undefined, had: boolean): HealthSignal[] {
  const link = (words: string): HealthSignal[] => [
    { kind: 'link', level: 'warning', part: now.part, words },
  ];
  if (now.carrier === false && had) return link('it has lost its carrier');
  const changes = more(now.changes, then?.changes);
  if (changes >= MANY_CHANGES) return link(`its carrier changed ${changes} times within an hour`);
  const errors = more(now.errors, then?.errors);
  const packets = more(now.packets, then?.packets);
  return errors >= MANY_ERRORS && errors >= (packets + errors) * MANY_ERRORS_SHARE
    ? link(`${errors} errors within an hour`)
    : [];
}
