import { godwitError, type GodwitError } from '../errors.ts';
import { passes, refuses, warns, type Finding } from './preflight/finding.ts';

/**
 * Identifies the file behind an image. A path may lead to another file after a restore, so the image is the file that
 * its hypervisor has open, identified by the kernel's numbers. Each later read, rename or removal compares the file
 * with it. Pure.
 */

/**
 * `dev:ino:born` of a file, `device:rdev` of a block device. File systems reuse the inode number of a removed file
 * once it is closed, so the birth time (ns) is included. `dev:ino`: the file system keeps no birth time, or an
 * earlier build took the identity.
 */
export type FileIdentity = string;

/** Kernel's numbers of a file or device; unique while a program has it open. */
export function fileNumber(identity: FileIdentity): string {
  return identity.split(':', 2).join(':');
}

function birthTime(identity: FileIdentity): string | undefined {
  return identity.split(':')[2];
}

export function isDevice(identity: FileIdentity): boolean {
  return identity.startsWith('device:');
}

export function inodeIn(identity: FileIdentity | undefined): string | undefined {
  if (identity === undefined || isDevice(identity)) return undefined;
  return identity.split(':')[1];
}

export interface NamedImage {
  readonly node: string;
  readonly device: string;
  readonly file: string;
  readonly allocatedBytes?: number | undefined;
}

export const REPLACED = 'the file at this path is not the file that the guest has open';
/** The destination's words for a place that both hosts see. */
export const OTHER_THERE =
  'the file at this path there is not the file that the guest has open at its source';
export const REMOVED = 'there is no file at this path, and the guest has a removed file open';

export const OTHER_OPENED =
  'the file at this path there is not the file that its hypervisor has opened';

export const NOT_KNOWN = 'it is not known whether it is the file that the guest had open';
export const SWAPPED =
  'the file at this path is another disk of the guest: the two files have swapped their names';

export interface ImageIdentities {
  /** Identity of each image that is the file at its path, by block node. */
  readonly identities: ReadonlyMap<string, FileIdentity>;
  readonly strange: readonly { readonly image: NamedImage; readonly reason: string }[];
}

/**
 * `atPath`: file at each path now; `open`: files that the hypervisor has open; `allocated`: storage used by the file
 * at each path.
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
 * Images of one guest that were swapped. Both files are open and no hypervisor reports which image each is, so only
 * their allocated sizes tell them apart. Equal or growing sizes are not decided.
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

/** `seen`: if a string, the reason why the open files are unknown. */
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

/** Another user of a file on this host: a process, a loop device, a mount. */
export interface FileUser {
  readonly identity: FileIdentity;
  /** `qemu-nbd (process 12)`, `the loop device /dev/loop3`. */
  readonly by: string;
  readonly mayWrite: boolean;
}

export interface FileUsers {
  readonly users: readonly FileUser[];
  readonly unseen: readonly string[];
}

export function namesOfUnseen(unseen: readonly string[]): string {
  const more = unseen.length > MAX_UNSEEN ? ` and ${unseen.length - MAX_UNSEEN} more` : '';
  return `it is not known whether ${unseen.slice(0, MAX_UNSEEN).join(', ')}${more} uses it`;
}

const MAX_UNSEEN = 4;

export interface LeavingImage extends NamedImage {
  readonly identity: FileIdentity | undefined;
  /** `copied`: removed here after the move; `read`: sent, and left for its other readers. */
  readonly how: 'copied' | 'read';
}

/** Findings on other users of images. A copied image must have none, and a read-only image no writer. */
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
  // A device is not removed, and many programs read devices briefly.
  const isRemoved = how === 'copied' && identity !== undefined && !isDevice(identity);
  return found.filter(({ mayWrite }) => isRemoved || mayWrite).map(({ by }) => by);
}

/** Two images that are one file would become two files. */
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

/** Disk that several guests share for writing (`share-rw=on`); its copy would be a different disk. */
export const SHARED_BY_AGREEMENT =
  'other guests may write to it as well (`share-rw=on`), so it moves only on storage that both hosts see';

/**
 * Checks that a file is still the image whose identity was taken; required before each read, rename or removal by
 * path. `isHeld`: a program has kept the image open, so its number was not reused.
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
 * True if both hosts number the files of this storage alike, tested with the same file. Some file systems (sshfs,
 * some SMB mounts) number files per host and cannot be compared.
 */
export function hasCommonNumbers(here: string | undefined, there: string | undefined): boolean {
  return here !== undefined && here === there;
}

/**
 * Reason why a started hypervisor has opened other images than the guest's. `places`: images with the inode of the
 * file that the guest has open at its source, if both hosts number that storage alike.
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

export type GivenUp =
  | { readonly file: string; readonly became: 'removed' | 'device' | 'gone' }
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
