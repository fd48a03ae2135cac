import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants, setPriority } from 'node:os';

/**
 * Starts `program`, which is to load its sources and end, so that they are compiled once a process of it is needed. Whatever
 * else this host does goes first: a guest may be admitted meanwhile.
 */
export function compileAhead(
  program: string,
  flags: readonly string[],
  words: readonly string[] = [],
): ChildProcess {
  const child = spawn(process.execPath, [...flags, program, ...words], { stdio: 'ignore' });
  child.on('error', () => {}).unref();
  // Nobody has waited for it yet, so its number is still its own.
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return child;
}
