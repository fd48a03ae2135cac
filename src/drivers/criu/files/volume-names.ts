import path from 'node:path';
import { z } from 'zod';

/** What a volume is called, and how it may be mounted. Pure. */

/** Options of a bind mount that travel; how it passes mounts on does not: nothing is passed on. */
export const VOLUME_OPTIONS = [
  'ro',
  'rw',
  'suid',
  'nosuid',
  'dev',
  'nodev',
  'exec',
  'noexec',
  'atime',
  'noatime',
  'diratime',
  'nodiratime',
  'relatime',
  'norelatime',
  'strictatime',
  'nostrictatime',
] as const;
export type VolumeOption = (typeof VOLUME_OPTIONS)[number];
const travelling: ReadonlySet<string> = new Set(VOLUME_OPTIONS);

/** What makes it a bind mount, and what the destination says in place of it. */
const SAID = new Set(['bind', 'rbind', 'private', 'rprivate']);

const MAX_PARTS = 8;
const MAX_PART = 200;

/** A path below a directory of volumes, without `.` and `..`: it is put together with a directory of another host. */
const nameOfVolume = z
  .string()
  .min(1)
  .max(1024)
  .refine((name) => {
    const parts = name.split('/');
    return parts.length <= MAX_PARTS && parts.every(isPart);
  }, 'a path below a directory of volumes');

function isPart(part: string): boolean {
  return (
    part !== '' &&
    part !== '.' &&
    part !== '..' &&
    part.length <= MAX_PART &&
    Buffer.from(part).every((byte) => byte >= 0x20)
  );
}

export const volume = z.strictObject({
  /** The directory of volumes at the source; the destination takes its own of that name, or its first. */
  dir: z.string().max(1024),
  name: nameOfVolume,
  kind: z.enum(['directory', 'file']),
  /** What it holds. */
  bytes: z.number().int().nonnegative(),
});
export type Volume = z.infer<typeof volume>;

/** Whether one is the other, or lies in it. */
export function overlaps(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

/** The directory of volumes in which a path lies, and its name there; undefined where it lies in none. */
export function placeIn(
  source: string,
  volumeDirs: readonly string[],
): { readonly dir: string; readonly name: string } | undefined {
  for (const dir of volumeDirs) {
    if (!source.startsWith(`${dir}/`) || path.posix.normalize(source) !== source) continue;
    const name = source.slice(dir.length + 1);
    if (nameOfVolume.safeParse(name).success) return { dir, name };
  }
  return undefined;
}

/** Options that travel, and the first that does not. */
export function readOptions(options: readonly string[]): {
  readonly options: VolumeOption[];
  readonly wrong: string | undefined;
} {
  const rest = options.filter((each) => !SAID.has(each));
  // In their order: of two that contradict each other, the last one holds.
  const last = rest.filter((each, index) => rest.lastIndexOf(each) === index);
  const known = last.filter((each): each is VolumeOption => travelling.has(each));
  return { options: known, wrong: rest.find((each) => !travelling.has(each)) };
}

/** Where a volume of another host goes: below the directory of the same path, or the first. */
export function placeFor(
  { dir, name }: Pick<Volume, 'dir' | 'name'>,
  volumeDirs: readonly string[],
): { readonly dir: string; readonly file: string } | undefined {
  const own = volumeDirs.includes(dir) ? dir : volumeDirs[0];
  return own === undefined ? undefined : { dir: own, file: path.posix.join(own, name) };
}
