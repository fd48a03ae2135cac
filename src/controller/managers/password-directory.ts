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
/** Only its owner can add names; a service manager or the operator creates it. */
const RUNTIME = '/run/godwit';
const PREFIX = 'godwit-managers-';

export interface PasswordDirectoryOptions {
  /** Used if one is in memory and belongs to this user alone. */
  readonly runtime?: readonly string[];
  /** Used otherwise; every user of the host may add names here. */
  readonly memory?: string;
}

/**
 * The directory in memory for the managers' passwords. Its name is random, because another user could create a
 * predictable one first; the link `manager-passwords` in stateDir holds it.
 */
export class PasswordDirectory {
  /** Stable path for agents and movers, even if the directory is created again elsewhere. */
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

  /** Creates the directory unless there is a usable one. GODWIT_CONFIG if this host has no file system in memory. */
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
    // Movers of an earlier build read their password in its directory.
    const isEarlier = isUsable(this.#earlier);
    this.#link(isEarlier ? this.#earlier : mkdtempSync(path.join(within, PREFIX)));
    // Other users may have read it.
    if (before !== undefined && path.basename(before).startsWith(PREFIX) && isOurs(before, 0))
      rmSync(before, { recursive: true, force: true });
  }

  remove(name: string): void {
    const target = this.#target();
    for (const each of new Set([target, this.#earlier])) {
      // A path through another user's directory or link leads anywhere.
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

/** systemd names a unit's RuntimeDirectory= in the environment. */
function runtimeDirectories(): string[] {
  const named = (process.env['RUNTIME_DIRECTORY'] ?? '').split(':');
  return [...named.filter((each) => path.isAbsolute(each)), RUNTIME];
}

const isUsable = (directory: string): boolean => isOurs(directory, 0o077);

/** Tells whether it is this user's directory in memory, without any of the permissions in `refused`. */
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
    // Other managers have files in it.
    return false;
  }
}
