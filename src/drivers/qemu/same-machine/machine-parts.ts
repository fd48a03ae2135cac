import { createHash } from 'node:crypto';
import { z } from 'zod';
import { virtioDevices } from './virtio-features.ts';

/**
 * Machine as its QEMU reports it: parts with their properties as text. Both hosts produce the same form, so that
 * it can be compared literally; the destination's comes from a peer. Pure.
 */

/** Exceeds the parts of the largest accepted description: 2048 devices with up to three parts each, and the rest. */
export const MAX_PARTS = 16_384;
const MAX_PROPERTIES = 1024;
/** Longer values are reported as their beginning and a checksum. */
const LONGEST_VALUE = 256;

const place = z.string().min(1).max(1024);
const value = z.string().max(LONGEST_VALUE);

/** Suffix of a device's place for its properties that exist only on the object. */
export const AS_OBJECT = ' as an object';

export function withoutParts(machine: MachineParts, ids: readonly string[]): MachineParts {
  const isOne = (name: string): boolean => ids.includes(name.replace(AS_OBJECT, ''));
  const parts = machine.parts.filter(
    ({ kind, place: own }) => kind !== 'device' || !own.split('/').some(isOne),
  );
  const virtio = machine.virtio?.filter(({ place: own }) => !ids.includes(own));
  return { ...machine, parts, virtio };
}

export const PART_KINDS = [
  'machine',
  'processor',
  'device',
  'object',
  'disk',
  'network',
  'chardev',
] as const;

export type PartKind = (typeof PART_KINDS)[number];

const part = z.object({
  kind: z.string().max(32),
  place,
  type: z.string().max(256),
  props: z
    .record(z.string().max(256), value)
    .refine((all) => Object.keys(all).length <= MAX_PROPERTIES, 'too many properties'),
});
export type Part = z.infer<typeof part>;

export const machineParts = z.object({
  version: z.string().max(64),
  kinds: z.array(z.string().max(32)).max(64),
  parts: z.array(part).max(MAX_PARTS),
  /** Absent in the report of an earlier Godwit. */
  virtio: virtioDevices.optional(),
});
export type MachineParts = z.infer<typeof machineParts>;

/** QEMU numbers these devices in the order of creation, so their names are not compared. */
const NUMBERED = /^\/machine\/(?:unattached|peripheral-anon)\/device\[\d+\]/;

/** Comparable form of a value. Members of an object become separate properties, since a newer QEMU has more of them. */
export function propertiesOf(name: string, reported: unknown): [string, string][] {
  if (typeof reported === 'object' && reported !== null && !Array.isArray(reported)) {
    return Object.entries(reported).flatMap(([key, each]) => propertiesOf(`${name}.${key}`, each));
  }
  return [[name, valueText(reported)]];
}

export function valueText(reported: unknown): string {
  const text = typeof reported === 'string' ? reported : (JSON.stringify(reported) ?? '');
  const plain = text.replace(NUMBERED, 'device');
  if (plain.length <= LONGEST_VALUE) return plain;
  const sum = createHash('sha256').update(plain).digest('hex').slice(0, 32);
  return `${plain.slice(0, 200)}… (${sum})`;
}
