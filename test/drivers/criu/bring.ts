import { fileURLToPath } from 'node:url';
import { runCommand } from '../../../lab/command.ts';

const SETUP = fileURLToPath(new URL('../../../tools/setup.sh', import.meta.url));
const SETUP_MS = 300_000;

/** Brings runc and CRIU where they are missing. */
export async function bringContainers(): Promise<void> {
  await runCommand(['bash', SETUP, '--only', 'containers'], { deadlineMs: SETUP_MS });
}
