import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdtempSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statfsSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { makeDirSynced, renameSynced } from '../../system/files/whole-file.ts';

const TMPFS = 0x01_02_19_94;
const MEMORY = '/dev/shm';
/** Only its owner adds names to it; a service manager or the operator makes it. */
const RUNTIME = '/run/godwit';
const PREFIX = 'godwit-managers-';

export interface PasswordDirectoryOptions {
  /** Where the directory is made if one of these is in memory and belongs to this user alone. */
  readonly runtime?: readonly string[];
  /** Where it is made otherwise: every user of the host may add names here. */
  readonly memory?: string;
}

/**
 * The directory in memory for the passwords of a controller's managers. Its name is random, because another user of the host
 * could take a predictable one first; the link `manager-passwords` in stateDir keeps it.
 */
export class PasswordDirectory {
  /** Agents and movers read passwords through it: it stays the same if the directory is made again elsewhere. */
  readonly path: string;
  readonly #runtime: readonly string[];
  readonly #memory: string;
  readonly #earlier: string;

  constructor(
    stateDir: string,
    { runtime = runtimeDirectories(), memory = MEMORY }: PasswordDirectoryOptions = {},
  ) {
    this.path = path.join(stateDir, 'manager-passwords');
    this.#runtime = runtime;
    this.#memory = memory;
    const mark = createHash('sha256').update(path.resolve(stateDir)).digest('hex').slice(0, 16);
    this.#earlier = path.join(memory, `godwit-${process.getuid?.() ?? 0}-${mark}`);
  }

  /** Makes the directory if there is none that can be used. GODWIT_CONFIG if this host has no file system in memory. */
  make(): void {
    const before = this.#target();
    if (before !== undefined && isUsable(before)) return;
    const within = this.#runtime.find((each) => isOurs(each, 0o022)) ?? this.#memory;
    if (!isInMemory(within)) {
      throw godwitError('GODWIT_CONFIG', {
        file: within,
        what: 'is no tmpfs: passwords are kept in memory alone',
      });
    }
    // Movers of an earlier build read their password in the directory that build has made.
    const isEarlier = isUsable(this.#earlier);
    this.#link(isEarlier ? this.#earlier : mkdtempSync(path.join(within, PREFIX)));
    // Other users may have looked into it.
    if (before !== undefined && path.basename(before).startsWith(PREFIX) && isOurs(before, 0))
      rmSync(before, { recursive: true, force: true });
  }

  /** Removes what is kept of one manager, and the directory with the last of them. */
  remove(name: string): void {
    const target = this.#target();
    for (const each of new Set([target, this.#earlier])) {
      // A name below another user's directory or link leads anywhere.
      if (each === undefined || !isUsable(each)) continue;
      rmSync(path.join(each, name), { recursive: true, force: true });
      if (isRemoved(each) && each === target) rmSync(this.path);
    }
  }

  #link(directory: string): void {
    makeDirSynced(path.dirname(this.path));
    const temporary = `${this.path}.tmp`;
    rmSync(temporary, { force: true });
    symlinkSync(directory, temporary);
    renameSynced(temporary, this.path);
  }

  #target(): string | undefined {
    try {
      return path.resolve(path.dirname(this.path), readlinkSync(this.path));
    } catch {
      return undefined;
    }
  }
}

/** systemd names the directories of a unit's RuntimeDirectory= in the environment. */
function runtimeDirectories(): string[] {
  const named = (process.env['RUNTIME_DIRECTORY'] ?? '').split(':');
  return [...named.filter((each) => path.isAbsolute(each)), RUNTIME];
}

const isUsable = (directory: string): boolean => isOurs(directory, 0o077);

/** Whether it is a directory in memory, of this user, without any of the permissions in `refused`. */
function isOurs(directory: string, refused: number): boolean {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found === undefined || !found.isDirectory()) return false;
  return found.uid === process.getuid?.() && (found.mode & refused) === 0 && isInMemory(directory);
}

function isInMemory(directory: string): boolean {
  try {
    return statfsSync(directory).type === TMPFS;
  } catch {
    return false;
  }
}

function isRemoved(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    // Other managers have theirs in it.
    return false;
  }
}
