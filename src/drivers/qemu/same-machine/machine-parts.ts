import { createHash } from 'node:crypto';
import { z } from 'zod';
import { virtioDevices } from './virtio-features.ts';

/**
 * A machine as its own QEMU reports it: parts, each with its properties as text. It is made alike on both hosts, so that
 * the two can be compared word for word; the destination's comes from a peer. Pure.
 */

/** More than the largest description that a destination takes makes: 2048 devices, each of up to three parts, and the rest. */
export const MAX_PARTS = 16_384;
/** The processor, which has the most, has about 500. */
const MAX_PROPERTIES = 1024;
/** Longer values are reported by what they begin with and by their sum. */
const LONGEST_VALUE = 256;

const place = z.string().min(1).max(1024);
const value = z.string().max(LONGEST_VALUE);

/** What the place of a device ends in, for what it only has as an object. */
export const AS_OBJECT = ' as an object';

/** Without these devices, and what is on their buses. */
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
  /** One of PART_KINDS, or of those of a newer Godwit. */
  kind: z.string().max(32),
  /** Where it sits: the ids, or types and addresses, of the devices above it, and its own. */
  place,
  /** QEMU's name of its type. */
  type: z.string().max(256),
  props: z
    .record(z.string().max(256), value)
    .refine((all) => Object.keys(all).length <= MAX_PROPERTIES, 'too many properties'),
});
export type Part = z.infer<typeof part>;

/** What a destination reports of the machine that it has made. */
export const machineParts = z.object({
  /** QEMU's version, 7.2.22. */
  version: z.string().max(64),
  /** Which kinds of parts it reports, also where the machine has none of one. */
  kinds: z.array(z.string().max(32)).max(64),
  parts: z.array(part).max(MAX_PARTS),
  /** Absent: an earlier Godwit does not tell. */
  virtio: virtioDevices.optional(),
});
export type MachineParts = z.infer<typeof machineParts>;

/** Names of devices that QEMU numbers as it makes them say nothing. */
const NUMBERED = /^\/machine\/(?:unattached|peripheral-anon)\/device\[\d+\]/;

/** A value as it is compared. Members of an object become properties of their own, since a newer QEMU knows more of them. */
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
