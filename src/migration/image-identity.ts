import type { GodwitError } from '../errors.ts';
import { godwitError } from '../errors.ts';
import { passes, refuses, warns } from './preflight/finding.ts';
import type { Finding } from './preflight/finding.ts';

/**
 * Which file an image is. A path names whichever file lies there now; a restore, rsync or a new template puts another file
 * there while the hypervisor goes on with the first. So an image is the file that its hypervisor has open, known by the
 * kernel's numbers. The identity is taken once, and each later reader, rename and removal compares the file with it. Pure.
 */

/** `dev:ino` of a file, `device:rdev` of a block device: unique on one host until it starts again. */
export type FileIdentity = string;

export function isDevice(identity: FileIdentity): boolean {
  return identity.startsWith('device:');
}

/** The number of a file within its file system; undefined for a device. */
export function inodeIn(identity: FileIdentity | undefined): string | undefined {
  if (identity === undefined || isDevice(identity)) return undefined;
  return identity.split(':')[1];
}

/** An image as its hypervisor names it. */
export interface NamedImage {
  readonly node: string;
  /** The disk that it belongs to, as people know it. */
  readonly device: string;
  readonly file: string;
}

export const REPLACED = 'the file at this path is not the file that the guest has open';
/** The same as the destination reports it, of a place that both hosts see. */
export const OTHER_THERE =
  'the file at this path there is not the file that the guest has open at its source';
export const REMOVED = 'there is no file at this path, and the guest has a removed file open';

/** How an image's path and the hypervisor's open files go together. */
export interface Identified {
  /** By block node, for each image that is the file at its path. */
  readonly identities: ReadonlyMap<string, FileIdentity>;
  readonly strange: readonly { readonly image: NamedImage; readonly reason: string }[];
}

/** `atPath`: the file at each path now; `open`: the files that the hypervisor has open. */
export function identifyImages(
  images: readonly NamedImage[],
  atPath: ReadonlyMap<string, FileIdentity>,
  open: ReadonlySet<FileIdentity>,
): Identified {
  const identities = new Map<string, FileIdentity>();
  const strange: { image: NamedImage; reason: string }[] = [];
  for (const image of images) {
    const there = atPath.get(image.file);
    if (there !== undefined && open.has(there)) identities.set(image.node, there);
    else strange.push({ image, reason: there === undefined ? REMOVED : REPLACED });
  }
  return { identities, strange };
}

const CURE =
  'Look at both files: the guest’s own is /proc/PID/fd/N of its hypervisor. To keep what the guest has written, copy the disk to a new file while it runs (`godwit move-disk GUEST DISK --to FILE`), or shut it down and start it on the right file.';

/** `seen`: in words, why the open files are not known. */
export function judgeIdentified(guest: string, seen: Identified | string): Finding[] {
  if (typeof seen === 'string') {
    const hint =
      'Run the agent on the host of the guest, as root or as the user of its hypervisor. Images that are copied stay at the source.';
    return [warns(`not known which files the guest has open: ${seen}`, hint)];
  }
  if (seen.strange.length === 0) {
    if (seen.identities.size === 0) return [];
    const count = `${seen.identities.size} of ${seen.identities.size} images`;
    return [passes(`${count} are the files that the hypervisor has open`)];
  }
  return seen.strange.map(({ image, reason }) => refuses(replacedError(guest, image, reason)));
}

export function replacedError(
  guest: string,
  { device, file }: Pick<NamedImage, 'device' | 'file'>,
  reason: string,
): GodwitError {
  return godwitError('GODWIT_DISK_REPLACED', { device, guest, file, reason }, { hint: CURE });
}

/** Something of a host besides the guest's hypervisor that has a file open: a process, a loop device, a mount. */
export interface FileUser {
  readonly identity: FileIdentity;
  /** `qemu-nbd (process 12)`, `the loop device /dev/loop3`. */
  readonly by: string;
  readonly mayWrite: boolean;
}

/** An image that is to leave this host as a copy. */
export interface LeavingImage extends NamedImage {
  readonly identity: FileIdentity | undefined;
  /** `copied`: removed here after the move; `read`: sent, and left here for its other readers. */
  readonly how: 'copied' | 'read';
}

/** Other users of images that are to be copied. A copied image has none; an image that is only read has no writer. */
export function judgeUsers(
  guest: string,
  images: readonly LeavingImage[],
  users: readonly FileUser[],
): Finding[] {
  if (images.length === 0) return [];
  const checks = images.flatMap((image) => {
    const others = [...usersOf(image, users), ...twins(image, images)];
    return others.length === 0 ? [] : [refuses(inUse(guest, image, others))];
  });
  if (checks.length > 0) return checks;
  const files = images.map(({ file }) => file).join(', ');
  return [passes(`no other process, device or mount of this host uses ${files}`)];
}

function usersOf({ identity, how }: LeavingImage, users: readonly FileUser[]): string[] {
  const found = users.filter((user) => user.identity === identity);
  // A device stays where it is, and programs of every kind read devices for a moment.
  const isRemoved = how === 'copied' && identity !== undefined && !isDevice(identity);
  return found.filter(({ mayWrite }) => isRemoved || mayWrite).map(({ by }) => by);
}

/** Copies of one file would be two files. */
function twins(image: LeavingImage, images: readonly LeavingImage[]): string[] {
  if (image.how === 'read' || image.identity === undefined) return [];
  const others = images.filter((each) => each !== image && each.identity === image.identity);
  return others.map(({ device }) => `the guest’s own disk ${device}`);
}

function inUse(
  guest: string,
  { device, file }: NamedImage,
  others: readonly string[],
): GodwitError {
  const reason = `${others.slice(0, MOST_NAMED).join(', ')} ${others.length === 1 ? 'has' : 'have'} it open as well`;
  return godwitError('GODWIT_DISK_IN_USE', { device, guest, file, reason });
}

const MOST_NAMED = 8;

/** A disk that several guests write to by agreement (`share-rw=on`): its copy would be another disk. */
export const SHARED_BY_AGREEMENT =
  'other guests may write to it as well (`share-rw=on`), so it moves only on storage that both hosts see';

/** Whether a file is still the image whose identity was taken. Nothing is read, renamed or removed by path without it. */
export function judgeIdentity(
  taken: FileIdentity | undefined,
  now: FileIdentity | undefined,
): 'same' | 'other' | 'gone' | 'unknown' {
  if (now === undefined) return 'gone';
  if (taken === undefined) return 'unknown';
  return taken === now ? 'same' : 'other';
}

/**
 * Whether inode numbers of one storage mean the same at both hosts: its own file has one number at both. Some file systems
 * (sshfs, some mounts of SMB) number files by host, and there nothing is to be compared.
 */
export function hasCommonNumbers(here: string | undefined, there: string | undefined): boolean {
  return here !== undefined && here === there;
}

/** What became of a copied image that is given up here, as it is reported. */
export type GivenUp =
  | { readonly file: string; readonly became: 'removed' | 'kept' | 'device' | 'gone' }
  | { readonly file: string; readonly became: 'left'; readonly why: string };

export function judgeGivenUp(all: readonly GivenUp[], aside: string): Finding[] {
  if (all.length === 0) return [];
  const named = (became: GivenUp['became'], how: string): string[] => {
    const files = all.filter((each) => each.became === became).map(({ file }) => file);
    return files.length === 0 ? [] : [`${how}: ${files.join(', ')}`];
  };
  const left = all.flatMap((each) =>
    each.became === 'left' ? [`left as it is: ${each.file}, since ${each.why}`] : [],
  );
  const said = [
    ...left,
    ...named('kept', `kept as ${aside}`),
    ...named('removed', 'removed'),
    ...named('gone', 'not there any more'),
    ...named('device', 'left as they are, and no disks of the guest’s any more'),
  ].join('; ');
  return left.length === 0 ? [passes(said)] : [warns(said, LEFT_HINT)];
}

const LEFT_HINT =
  'Look at the file and at whatever uses it. It is not the guest’s disk any more: never start the guest on it.';
