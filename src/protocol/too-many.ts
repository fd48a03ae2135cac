import type { z } from 'zod';

/** A list of a description that is longer than any host takes. */
export interface TooMany {
  readonly what: string;
  readonly count: number;
  readonly limit: number;
}

/** What people call the lists of a guest's description. */
const PARTS: Readonly<Record<string, string>> = {
  blockNodes: 'images of disks, backing files counted',
  chardevs: 'character devices',
  netdevs: 'network backends',
  ports: 'serial and parallel ports',
};

/** The list of `value` that its schema finds too long, where that is what is wrong with it. Pure. */
export function tooMany(value: unknown, { issues }: z.ZodError): TooMany | undefined {
  for (const issue of issues) {
    if (issue.code !== 'too_big' || issue.origin !== 'array') continue;
    const list = issue.path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      value,
    );
    if (!Array.isArray(list)) continue;
    const name = String(issue.path.at(-1) ?? 'parts');
    return { what: PARTS[name] ?? name, count: list.length, limit: Number(issue.maximum) };
  }
  return undefined;
}
