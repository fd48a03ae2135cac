import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { segmentBytes } from './segment.ts';

/** Segment in the directory, of any scope and process. */
export interface Lying {
  readonly path: string;
  bytes: number;
}

export interface Survey {
  /** Oldest first. */
  readonly segments: Lying[];
  /** Seed indexes, including unfinished ones. */
  readonly indexBytes: number;
}

/** Lists the directory; `active` is included as given, since it may be partly unwritten. */
export function survey(directory: string, active: Lying | undefined): Survey {
  const segments: Lying[] = [];
  let indexBytes = 0;
  for (const name of readdirSync(directory).toSorted()) {
    const whole = path.join(directory, name);
    if (name.endsWith('.seed') || name.endsWith('.new')) {
      indexBytes += statSync(whole, { throwIfNoEntry: false })?.size ?? 0;
    } else if (name.endsWith('.pages') || name.endsWith('.names')) {
      const at = whole.slice(0, -'.pages'.length);
      if (segments.at(-1)?.path === at) continue;
      segments.push(active?.path === at ? active : { path: at, bytes: segmentBytes(at) });
    }
  }
  return { segments, indexBytes };
}

export function hasSegments(directory: string, tag: string): boolean {
  try {
    return readdirSync(directory).some((name) => name.includes(`-${tag}-`));
  } catch {
    return false;
  }
}

export function seedIndexes(directory: string, tag: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(`${tag}-`) && name.endsWith('.seed'))
    .map((name) => path.join(directory, name));
}

/** Path that sorts after all present segments; `random` separates processes. */
export function nextSegment(
  directory: string,
  last: Lying | undefined,
  tag: string,
  random: string,
): string {
  const before = path.basename(last?.path ?? '0').split('-')[0] ?? '0';
  const next = (Number.parseInt(before, 36) + 1).toString(36).padStart(9, '0');
  return path.join(directory, `${next}-${tag}-${random}`);
}
