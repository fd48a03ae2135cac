import { homedir } from 'node:os';
import path from 'node:path';

/**
 * The user's cache: guest kernels, images, QEMUs in prefixes, and facts about this machine. Root's is readable by other
 * users, because guests' QEMUs run as separate users.
 */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const own = process.getuid?.() === 0 ? '/var/cache' : path.join(homedir(), '.cache');
  return path.join(env['XDG_CACHE_HOME'] || own, 'godwit');
}
