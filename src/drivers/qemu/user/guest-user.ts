import { randomInt } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, chown, copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { godwitError, toGodwitError } from '../../../errors.ts';
import { inOwnDirectory } from '../../../system/files/checked-open.ts';
import { pids } from '../../../system/processes/process.ts';
import { pass, refusal, warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import { isOnNetwork } from '../../../protocol/network-file.ts';
import type { Match } from '../assess.ts';
import { markIncoming } from '../incoming.ts';
import {
  closedAbove,
  forgetSource,
  givenFiles,
  giveFiles,
  isOpenToAll,
  openAbove,
  otherUserOf,
  returnFiles,
} from './access.ts';
import type { RunAs } from './confine.ts';
import { deviceGroups } from './devices.ts';
import { freeId, isGuestId, rangeOf, type QemuUser, type Range } from './ids.ts';

const LEVELS_ABOVE_GUEST = 2;
/** QEMU creates its sockets there and cannot remove or rename others' files. */
const GUEST_DIR_MODE = 0o1770;

const CHANCES = 2 ** 32;
const chance = (): number => randomInt(CHANCES) / CHANCES;

interface Dirs {
  readonly guestDir: string;
  readonly logDir?: string;
}

export class GuestUser {
  readonly #guestDir: string;
  readonly #logDir: string | undefined;
  readonly #user: QemuUser;
  /** Owner of the guest's ports; a restarted QEMU must have the same user. */
  #number: number | undefined;

  constructor({ guestDir, logDir }: Dirs, user: QemuUser) {
    this.#guestDir = guestDir;
    this.#logDir = logDir;
    this.#user = user;
  }

  async checked(match: Match): Promise<Match> {
    return { ...match, checks: [...match.checks, ...(await this.#checks(match))] };
  }

  async #checks({ program, disks, code }: Match): Promise<NamedCheck[]> {
    try {
      const range = await rangeOf(this.#user);
      const own = userCheck(this.#user, range);
      if (range === undefined) return [own];
      // Firmware code that it cannot read is copied for it.
      const opened = [...disks].filter(([node]) => !code.has(node)).map(([, file]) => file);
      const files = opened.filter((file) => !isOnNetwork(file));
      if (program !== undefined) files.push(program.binary);
      if (this.#logDir !== undefined && !isInside(this.#logDir, this.#guestDir)) {
        files.push(path.dirname(this.#logDir));
      }
      return [own, ...(await reachChecks(this.#guestDir, files))];
    } catch (thrown) {
      return [refusal('user', toGodwitError(thrown), 'destination')];
    }
  }

  /** Returns the user and creates the guest's directory; undefined: this process's user. */
  async own(): Promise<RunAs | undefined> {
    const range = await rangeOf(this.#user);
    return range === undefined ? undefined : userFor(this.#guestDir, range, this.#number);
  }

  async number(started: { readonly pid: number } | undefined): Promise<number | undefined> {
    this.#number = await this.#numberOf(started);
    return this.#number;
  }

  /** Grants access to files of devices that are plugged in, while its QEMU runs. Returns the undo. */
  async mayOpen(files: readonly string[]): Promise<() => Promise<void>> {
    const as = files.length === 0 ? undefined : await this.own();
    if (as === undefined) return async () => {};
    const wanted = files.map((file) => ({ file, writable: true }));
    const range = await rangeOf(this.#user);
    const isGuest = (gid: number) => range !== undefined && isGuestId(gid, range);
    const known = await givenFiles(this.#guestDir);
    const added = files.filter((file) => !known.includes(file));
    try {
      await giveFiles(this.#guestDir, wanted, as.gid);
      // The files belong to no guest now, so a guest that once had them does not get them back.
      await forgetSource(this.#guestDir, isGuest, added);
    } catch (thrown) {
      await returnFiles(this.#guestDir, added);
      throw thrown;
    }
    return () => returnFiles(this.#guestDir, added);
  }

  /** Grants read access to images that the source also has open. */
  async mayRead(files: readonly string[]): Promise<void> {
    const as = files.length === 0 ? undefined : await this.own();
    if (as === undefined) return;
    const wanted = files.map((file) => ({ file, writable: false }));
    await giveFiles(this.#guestDir, wanted, as.gid);
  }

  /** The guest stays here for good: its files must not return to a user of its source's QEMU. */
  async forgetSource(): Promise<void> {
    const range = await rangeOf(this.#user);
    if (range !== undefined) await forgetSource(this.#guestDir, (gid) => isGuestId(gid, range));
  }

  async #numberOf(started: { readonly pid: number } | undefined): Promise<number | undefined> {
    if (started !== undefined) return (await otherUserOf(started.pid))?.uid;
    if ((await rangeOf(this.#user)) === undefined) return undefined;
    await markIncoming(this.#guestDir);
    return (await this.own())?.uid;
  }
}

function userCheck(user: QemuUser, range: Range | undefined): NamedCheck {
  if (range !== undefined) return pass('user', 'QEMU runs as a user of its own', 'destination');
  const isRoot = process.geteuid?.() === 0 && user === 'agent';
  if (!isRoot) return pass('user', 'QEMU runs as the agent’s user', 'destination');
  const hint =
    'Set drivers.qemu.user there to a range of users, and each guest’s QEMU has its own.';
  return warn('user', 'QEMU runs as root (drivers.qemu.user)', hint, 'destination');
}

/** Refuses files that QEMU could not reach as a separate user: its program, disk images and directory. */
async function reachChecks(guestDir: string, files: readonly string[]): Promise<NamedCheck[]> {
  const above = path.dirname(path.dirname(path.dirname(guestDir)));
  const found = new Map<string, string>();
  for (const file of [path.join(above, 'state'), ...files]) {
    const closed = await closedAbove(file).catch(() => undefined);
    if (closed !== undefined) found.set(closed, file);
  }
  return [...found].map(([directory, file]) => {
    const what = `a path for the guest’s QEMU to ${file}: the directory ${directory} is closed to it`;
    const hint = `QEMU runs as a user of its own: chmod o+x ${directory}, which lets nobody list it; or set drivers.qemu.user to "agent", and QEMU runs as root.`;
    const error = godwitError('GODWIT_HOST_LACKS', { what }, { hint });
    return refusal('user', error, 'destination');
  });
}

/**
 * User of this directory's guest; creates the directory. Chosen once at random, then read from the directory.
 * Throws GODWIT_HOST_LACKS if every number is taken.
 */
async function userFor(guestDir: string, range: Range, before: number | undefined): Promise<RunAs> {
  const known = await stat(guestDir).catch(() => undefined);
  const id =
    known !== undefined && isGuestId(known.gid, range)
      ? known.gid
      : await newId(guestDir, range, before);
  if (id === undefined) throw noneFree(range);
  await mkdir(guestDir, { recursive: true, mode: 0o700 });
  await letIn(guestDir, id);
  await openAbove(path.dirname(guestDir), LEVELS_ABOVE_GUEST);
  return { uid: id, gid: id, groups: await deviceGroups(range) };
}

/**
 * Creates the guest's log directory, in which its user may create files; a directory outside is made
 * traversable. Throws GODWIT_HOST_LACKS, without a change, if an earlier QEMU left a link or its own directory
 * there.
 */
export async function makeLogDir(
  logDir: string,
  guestDir: string,
  as: RunAs | undefined,
): Promise<void> {
  const parent = path.dirname(logDir);
  await mkdir(parent, { recursive: true, mode: 0o711 });
  // Not `recursive`, which accepts a link to a directory.
  await mkdir(logDir, { mode: 0o700 }).catch((err: NodeJS.ErrnoException) => {
    if (err.code !== 'EEXIST') throw err;
  });
  await inOwnDirectory(logDir, async (at) => {
    if (as !== undefined) await letIn(at, as.gid);
  }).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    const what = `a directory of its own for the guest’s logs (${why})`;
    const hint = `See what ${logDir} is and who put it there, and remove it.`;
    throw godwitError('GODWIT_HOST_LACKS', { what }, { hint, cause });
  });
  if (as === undefined) return;
  if (!isInside(logDir, guestDir)) await openAbove(parent, 1);
}

function isInside(directory: string, parent: string): boolean {
  return directory.startsWith(`${parent}/`);
}

/** Lets that user and group create files in the directory, but not remove or rename others' files. */
export async function letIn(directory: string, id: number): Promise<void> {
  await chown(directory, process.geteuid?.() ?? 0, id);
  await chmod(directory, GUEST_DIR_MODE);
}

function noneFree({ from, count }: Range): Error {
  const what = `a free user for a QEMU among ${from} to ${from + count - 1}`;
  const hint = 'Raise count of drivers.qemu.user in the configuration.';
  return godwitError('GODWIT_HOST_LACKS', { what }, { hint });
}

/** Unique user without files or devices, for a QEMU without a guest. */
export async function helperUser(user: QemuUser, guestsDir: string): Promise<RunAs | undefined> {
  const range = await rangeOf(user);
  if (range === undefined) return undefined;
  const id = freeId(range, await takenIds(guestsDir), chance());
  if (id === undefined) throw noneFree(range);
  return { uid: id, gid: id, groups: [] };
}

/** Earlier number if it is still free, otherwise a random one. */
async function newId(
  guestDir: string,
  range: Range,
  before: number | undefined,
): Promise<number | undefined> {
  const taken = await takenIds(path.dirname(guestDir));
  if (before !== undefined && isGuestId(before, range) && !taken.has(before)) return before;
  return freeId(range, taken, chance());
}

async function takenIds(guestsDir: string): Promise<ReadonlySet<number>> {
  // A guest's TPM state outlives its QEMU and belongs to the guest's user.
  const tpmsDir = path.join(path.dirname(guestsDir), 'tpm');
  const [guests, tpms] = await Promise.all([
    readdir(guestsDir).catch(() => []),
    readdir(tpmsDir).catch(() => []),
  ]);
  const places = [
    ...guests.map((name) => path.join(guestsDir, name)),
    ...tpms.map((name) => path.join(tpmsDir, name)),
    ...pids().map((pid) => `/proc/${pid}`),
  ];
  const found = await Promise.all(places.map((place) => stat(place).catch(() => undefined)));
  return new Set(found.flatMap((info) => (info === undefined ? [] : [info.uid, info.gid])));
}

/**
 * Kernels, firmware and similar files in a form that the user can read. A file that is not world-readable is
 * copied into the guest's directory, because it may be the host's file and must not change.
 */
export async function readableImages<Slot>(
  guestDir: string,
  images: ReadonlyMap<Slot, string>,
  kind: string,
  as: RunAs,
): Promise<Map<Slot, string>> {
  const readable = new Map<Slot, string>();
  for (const [slot, file] of images) {
    if (await isOpenToAll(file)) {
      readable.set(slot, file);
      continue;
    }
    const copy = path.join(guestDir, `${kind}-${String(slot)}-${path.basename(file)}`);
    await rm(copy, { force: true });
    await copyFile(file, copy, constants.COPYFILE_EXCL);
    await chown(copy, process.geteuid?.() ?? 0, as.gid);
    await chmod(copy, 0o640);
    readable.set(slot, copy);
  }
  return readable;
}
