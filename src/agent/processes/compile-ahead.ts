import { spawn, type ChildProcess } from 'node:child_process';
import { constants, setPriority } from 'node:os';

const compiling = new Set<ChildProcess>();
// What is compiled ahead is for this agent alone: on a slow host it would go on for minutes after it, and beside the next.
process.on('exit', () => {
  for (const child of compiling) child.kill('SIGKILL');
});

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
  compiling.add(child);
  child.on('error', () => compiling.delete(child)).on('exit', () => compiling.delete(child));
  child.unref();
  // Nobody has waited for it yet, so its number is still its own.
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return child;
}
