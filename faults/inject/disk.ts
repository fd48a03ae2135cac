/** A host's state directory that takes nothing more. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { agentsOf } from '../../lab/agents.ts';
import { runCommand } from '../../lab/command.ts';
import { labHost } from '../../lab/state.ts';
import type { Injector, FaultSite } from './injector.ts';

const FILLER = '.filler';

/** The stage has put the directory on a small file system: one file takes all that is left of it. */
export function fullDisk(directory: string, called: string): Injector<unknown> {
  const file = path.join(directory, FILLER);
  return {
    strike: async () => {
      const bytes = fill(file);
      return `${bytes} bytes filled ${called}`;
    },
    clear: async () => rmSync(file, { force: true }),
  };
}

function fill(file: string): number {
  const block = Buffer.alloc(1024 * 1024);
  const fd = openSync(file, 'w', 0o600);
  let written = 0;
  try {
    // In ever smaller pieces: not a byte may be left over.
    for (let size = block.length; size >= 1;) {
      try {
        written += writeSync(fd, block, 0, size);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        size = Math.floor(size / 16);
      }
    }
  } finally {
    closeSync(fd);
  }
  return written;
}

/** Made elsewhere first: a mount over which somebody has opened a file to write meanwhile is busy. */
const READ_ONLY = `at=$(mktemp -d)
  mount --bind "$1" "$at" && mount -o remount,bind,ro "$at" && mount --move "$at" "$1"
  status=$?
  rmdir "$at" || true
  exit $status`;

/**
 * The state directory is read-only for whatever is opened from now on; files that are open stay open, as when a mount
 * changes. Done in the agent's own mount namespace, which its movers share.
 */
export async function readonlyDisk({ lab, to }: FaultSite): Promise<Injector> {
  const { stateDir } = labHost(lab, to);
  const pid = (await agentsOf(lab, to))[0]?.pid;
  if (pid === undefined) throw new Error(`${to} has no agent`);
  const inside = (script: string): Promise<string> =>
    runCommand(['nsenter', '-m', '-t', String(pid), 'sh', '-c', script, 'sh', stateDir]);
  let struck = false;
  return {
    strike: async () => {
      struck = true;
      await inside(READ_ONLY);
      return `${stateDir} is read-only for what is opened from now on`;
    },
    clear: async () => {
      if (!struck) return;
      struck = false;
      await inside('umount -l "$1"');
    },
  };
}
