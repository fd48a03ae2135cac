import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { segmentBytes } from './segment.ts';

/** A segment of any scope and process, as it lies in the directory. */
export interface Lying {
  readonly path: string;
  bytes: number;
}

export interface Survey {
  /** Oldest first. */
  readonly segments: Lying[];
  /** Indexes of seeds, also unfinished ones. */
  readonly indexBytes: number;
}

/** What lies there; `active` is taken as it is, since not all of it is written. */
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

/** Whether something lies there that is kept under that tag. */
export function hasSegments(directory: string, tag: string): boolean {
  try {
    return readdirSync(directory).some((name) => name.includes(`-${tag}-`));
  } catch {
    return false;
  }
}

/** Paths of the seeds' indexes of a scope. */
export function seedIndexes(directory: string, tag: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(`${tag}-`) && name.endsWith('.seed'))
    .map((name) => path.join(directory, name));
}

/** Path for a segment after all those that lie there; `random` keeps two processes apart. */
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
