import type { z } from 'zod';

export interface TooMany {
  readonly what: string;
  readonly count: number;
  readonly limit: number;
}

const PARTS: Readonly<Record<string, string>> = {
  blockNodes: 'images of disks, backing files counted',
  chardevs: 'character devices',
  netdevs: 'network backends',
  ports: 'serial and parallel ports',
};

/** The list that exceeds its schema's limit, if that is the error. Pure. */
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
