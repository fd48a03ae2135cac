import { homedir } from 'node:os';
import path from 'node:path';

/** The user's cache of Godwit: guest kernels, images, QEMUs in prefixes, what was found out about this machine. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return path.join(env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache'), 'godwit');
}
