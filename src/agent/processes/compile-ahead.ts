import { spawn, type ChildProcess } from 'node:child_process';
import { constants, setPriority } from 'node:os';

const compiling = new Set<ChildProcess>();
// The compilation serves this agent only; on a slow host it would run for minutes next to the next agent.
process.on('exit', () => {
  for (const child of compiling) child.kill('SIGKILL');
});

/**
 * Starts `program`, which must load its sources and exit, to fill the compile cache. It runs at low priority: a guest
 * may be admitted meanwhile.
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
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return child;
}
