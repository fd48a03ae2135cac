import path from 'node:path';
import { z } from 'zod';

/** Bind mount options that are carried over. Mount propagation is not, because the destination uses none. */
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

const SAID = new Set(['bind', 'rbind', 'private', 'rprivate']);

const MAX_PARTS = 8;
const MAX_PART = 200;

/** Path below a volume directory, without `.` and `..`, because it is appended to another host's directory. */
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
  /** Volume directory at the source; the destination uses its directory of the same path, or its first. */
  dir: z.string().max(1024),
  name: nameOfVolume,
  kind: z.enum(['directory', 'file']),
  bytes: z.number().int().nonnegative(),
});
export type Volume = z.infer<typeof volume>;

export function overlaps(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

/** Volume directory of a path, and the name in it; undefined outside all of them. */
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

/** Options that are carried over, and the first invalid one. */
export function readOptions(options: readonly string[]): {
  readonly options: VolumeOption[];
  readonly wrong: string | undefined;
} {
  const rest = options.filter((each) => !SAID.has(each));
  // In order: the last of contradicting options applies.
  const last = rest.filter((each, index) => rest.lastIndexOf(each) === index);
  const known = last.filter((each): each is VolumeOption => travelling.has(each));
  return { options: known, wrong: rest.find((each) => !travelling.has(each)) };
}

/** Place of another host's volume: below the directory of the same path, or the first. */
export function placeFor(
  { dir, name }: Pick<Volume, 'dir' | 'name'>,
  volumeDirs: readonly string[],
): { readonly dir: string; readonly file: string } | undefined {
  const own = volumeDirs.includes(dir) ? dir : volumeDirs[0];
  return own === undefined ? undefined : { dir: own, file: path.posix.join(own, name) };
}
