import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { godwitError } from '../src/errors.ts';
import { cacheDirectory } from '../src/system/files/cache-directory.ts';
import { runCommand } from '../lab/command.ts';

const SETUP = fileURLToPath(new URL('../tools/setup.sh', import.meta.url));
const SETUP_MS = 300_000;

/** Brings runc and CRIU into Godwit's cache where they are missing. GODWIT_HOST_LACKS where that cannot be. */
export async function bringContainers(
  say: (what: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (process.getuid?.() !== 0) {
    const hint = 'Run it as root: CRIU reads and makes processes that are not its own.';
    throw godwitError('GODWIT_HOST_LACKS', { what: 'root, for CRIU and runc' }, { hint });
  }
  const home = path.join(cacheDirectory(), 'containers');
  const runc = path.join(home, 'bin', 'runc');
  if (existsSync(runc)) return;
  say('fetching CRIU and runc into the cache of Godwit');
  await runCommand(['bash', SETUP, '--only', 'containers'], { deadlineMs: SETUP_MS, signal });
  if (existsSync(runc)) return;
  const reason = unavailable(path.join(home, 'unavailable'));
  const hint = reason ?? 'See what `tools/setup.sh --only containers` says.';
  throw godwitError('GODWIT_HOST_LACKS', { what: 'runc and CRIU' }, { hint });
}

function unavailable(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}
