import { godwitError, type GodwitError } from '../errors.ts';
import { passes, refuses, warns, type Finding } from './preflight/finding.ts';

/**
 * Which file an image is. A path names whichever file lies there now; a restore, rsync or a new template puts another file
 * there while the hypervisor goes on with the first. So an image is the file that its hypervisor has open, known by the
 * kernel's numbers. The identity is taken once, and each later reader, rename and removal compares the file with it. Pure.
 */

/**
 * `dev:ino:born` of a file, `device:rdev` of a block device. A file system gives the number of a removed file to the next new
 * file as soon as no program has the removed file open. So the birth time, in ns, is part of the identity. `dev:ino`: the file
 * system keeps no birth time, or an earlier build took the identity.
 */
export type FileIdentity = string;

/** The kernel's numbers of a file or a device: unique while a program has the file open. */
export function fileNumber(identity: FileIdentity): string {
  return identity.split(':', 2).join(':');
}

function birthTime(identity: FileIdentity): string | undefined {
  return identity.split(':')[2];
}

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
  /** What its hypervisor reports that the open file takes on its storage; absent if it does not. */
  readonly allocatedBytes?: number | undefined;
}

export const REPLACED = 'the file at this path is not the file that the guest has open';
/** The same as the destination reports it, of a place that both hosts see. */
export const OTHER_THERE =
  'the file at this path there is not the file that the guest has open at its source';
export const REMOVED = 'there is no file at this path, and the guest has a removed file open';

export const OTHER_OPENED =
  'the file at this path there is not the file that its hypervisor has opened';

/** Another file may have the number that the image had, and nothing held the image meanwhile. */
export const NOT_KNOWN = 'it is not known whether it is the file that the guest had open';
export const SWAPPED =
  'the file at this path is another disk of the guest: the two files have swapped their names';

/** How an image's path and the hypervisor's open files go together. */
export interface ImageIdentities {
  /** By block node, for each image that is the file at its path. */
  readonly identities: ReadonlyMap<string, FileIdentity>;
  readonly strange: readonly { readonly image: NamedImage; readonly reason: string }[];
}

/**
 * `atPath`: the file at each path now; `open`: the files that the hypervisor has open; `allocated`: what the file at each path
 * takes on its storage.
 */
export function identifyImages(
  images: readonly NamedImage[],
  atPath: ReadonlyMap<string, FileIdentity>,
  open: ReadonlySet<FileIdentity>,
  allocated: ReadonlyMap<string, number> = new Map(),
): ImageIdentities {
  const swapped = swappedImages(images, allocated);
  const identities = new Map<string, FileIdentity>();
  const strange: { image: NamedImage; reason: string }[] = [];
  for (const image of images) {
    const there = atPath.get(image.file);
    if (swapped.has(image.node)) strange.push({ image, reason: SWAPPED });
    else if (there !== undefined && isOpen(there, open)) identities.set(image.node, there);
    else strange.push({ image, reason: there === undefined ? REMOVED : REPLACED });
  }
  return { identities, strange };
}

function isOpen(file: FileIdentity, open: ReadonlySet<FileIdentity>): boolean {
  return open.has(file) || [...open].some((each) => judgeIdentity(each, file, true) === 'same');
}

/**
 * Images of one guest that lie under each other's names: both files are open, so only what each takes tells them apart. No
 * hypervisor reports which open file is which image; images that take equally much, or are just growing, are not told apart.
 */
function swappedImages(
  images: readonly NamedImage[],
  allocated: ReadonlyMap<string, number>,
): ReadonlySet<string> {
  const odd = images.filter(({ file, allocatedBytes }) => {
    const there = allocated.get(file);
    return allocatedBytes !== undefined && there !== undefined && there !== allocatedBytes;
  });
  const isAt = (one: NamedImage, other: NamedImage): boolean =>
    one.file !== other.file && allocated.get(one.file) === other.allocatedBytes;
  const found = odd.filter((one) => odd.some((other) => isAt(one, other) && isAt(other, one)));
  return new Set(found.map(({ node }) => node));
}

const CURE =
  'Look at both files: the guest’s own is /proc/PID/fd/N of its hypervisor. To keep what the guest has written, copy the disk to a new file while it runs (`godwit move-disk GUEST DISK --to FILE`), or shut it down and start it on the right file.';

/** `seen`: in words, why the open files are not known. */
export function judgeIdentified(guest: string, seen: ImageIdentities | string): Finding[] {
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

export interface FileUsers {
  readonly users: readonly FileUser[];
  /** Programs and devices of this host that may have one of the files open, and could not be looked into. */
  readonly unseen: readonly string[];
}

/** What was not looked into, as a clause. */
export function namesOfUnseen(unseen: readonly string[]): string {
  const more = unseen.length > MAX_UNSEEN ? ` and ${unseen.length - MAX_UNSEEN} more` : '';
  return `it is not known whether ${unseen.slice(0, MAX_UNSEEN).join(', ')}${more} uses it`;
}

const MAX_UNSEEN = 4;

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
  { users, unseen }: FileUsers,
): Finding[] {
  if (images.length === 0) return [];
  const checks = images.flatMap((image) => {
    const others = [...usersOf(image, users), ...twins(image, images)];
    return others.length === 0 ? [] : [refuses(inUse(guest, image, others))];
  });
  if (checks.length > 0) return checks;
  const files = images.map(({ file }) => file).join(', ');
  const unknown = images.filter(({ identity }) => identity === undefined).map(({ file }) => file);
  const gaps = [
    ...(unknown.length === 0 ? [] : [`not known which file ${unknown.join(', ')} is`]),
    ...(unseen.length === 0 ? [] : [namesOfUnseen(unseen)]),
  ];
  if (gaps.length > 0) return [warns(`${files}: ${gaps.join('; ')}`, UNSEEN_HINT)];
  return [passes(`no other process, device or mount of this host uses ${files}`)];
}

const UNSEEN_HINT =
  'Look for other users of these files (`lsof`, `losetup`), and run the agent as root. A copied image is kept under another name at the source, not removed.';

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
  const reason = `${others.slice(0, MAX_NAMED).join(', ')} ${others.length === 1 ? 'has' : 'have'} it open as well`;
  return godwitError('GODWIT_DISK_IN_USE', { device, guest, file, reason });
}

const MAX_NAMED = 8;

/** A disk that several guests write to by agreement (`share-rw=on`): its copy would be another disk. */
export const SHARED_BY_AGREEMENT =
  'other guests may write to it as well (`share-rw=on`), so it moves only on storage that both hosts see';

/**
 * Whether a file is still the image whose identity was taken. Nothing is read, renamed or removed by path without it.
 * `isHeld`: a program has had the image open since then, so no other file can have its number.
 */
export function judgeIdentity(
  taken: FileIdentity | undefined,
  now: FileIdentity | undefined,
  isHeld = false,
): 'same' | 'other' | 'gone' | 'unknown' {
  if (now === undefined) return 'gone';
  if (taken === undefined) return 'unknown';
  if (fileNumber(taken) !== fileNumber(now)) return 'other';
  if (isDevice(now)) return 'same';
  const [born, bornNow] = [birthTime(taken), birthTime(now)];
  if (born !== undefined && bornNow !== undefined) return born === bornNow ? 'same' : 'other';
  return isHeld ? 'same' : 'unknown';
}

/**
 * Whether inode numbers of one storage mean the same at both hosts: its own file has one number at both. Some file systems
 * (sshfs, some mounts of SMB) number files by host, and there nothing is to be compared.
 */
export function hasCommonNumbers(here: string | undefined, there: string | undefined): boolean {
  return here !== undefined && here === there;
}

/**
 * Why a hypervisor that was started for a guest has not opened the guest's own images. `places`: each image with the number
 * of the file that the guest has open at its source, if both hosts number the files of that storage alike.
 */
export function whyOtherOpened(
  places: readonly { readonly node: string; readonly inode?: string | undefined }[],
  { identities, strange }: ImageIdentities,
): { readonly node: string; readonly reason: string } | undefined {
  const [replaced] = strange;
  if (replaced !== undefined) return { node: replaced.image.node, reason: OTHER_OPENED };
  const other = places.find(({ node, inode }) => {
    const opened = inodeIn(identities.get(node));
    return inode !== undefined && opened !== undefined && opened !== inode;
  });
  return other === undefined ? undefined : { node: other.node, reason: OTHER_THERE };
}

/** What became of a copied image that is given up here, as it is reported. */
export type GivenUp =
  | { readonly file: string; readonly became: 'removed' | 'device' | 'gone' }
  /** `why`: it was to be removed. */
  | { readonly file: string; readonly became: 'kept'; readonly why?: string }
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
  const doubtful = all.flatMap((each) =>
    each.became === 'kept' && each.why !== undefined
      ? [`kept as ${aside}: ${each.file}, since ${each.why}`]
      : [],
  );
  const kept = all.filter((each) => each.became === 'kept' && each.why === undefined);
  const said = [
    ...left,
    ...doubtful,
    ...(kept.length === 0 ? [] : [`kept as ${aside}: ${kept.map(({ file }) => file).join(', ')}`]),
    ...named('removed', 'removed'),
    ...named('gone', 'not there any more'),
    ...named('device', 'left as they are, and no disks of the guest’s any more'),
  ].join('; ');
  if (left.length > 0) return [warns(said, LEFT_HINT)];
  return doubtful.length > 0 ? [warns(said, KEPT_HINT)] : [passes(said)];
}

const KEPT_HINT =
  'Look for other users of the file (`lsof`, `losetup`), and remove it. It is not the guest’s disk any more.';
const LEFT_HINT =
  'Look at the file and at whatever uses it. It is not the guest’s disk any more: never start the guest on it.';
