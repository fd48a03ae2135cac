import { homedir } from 'node:os';
import path from 'node:path';

/**
 * The user's cache of Godwit: guest kernels, images, QEMUs in prefixes, what was found out about this machine. Root's lies
 * where other users get to, since guests' QEMUs run as users of their own.
 */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const own = process.getuid?.() === 0 ? '/var/cache' : path.join(homedir(), '.cache');
  return path.join(env['XDG_CACHE_HOME'] || own, 'godwit');
}
