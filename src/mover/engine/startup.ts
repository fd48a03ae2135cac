import { renameSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { GodwitError } from '../../errors.ts';
import type { MoverState } from '../../protocol/mover/request.ts';

/** What a mover reports to the agent that starts it: mover.json, and one line on file descriptor 3. */

/** Writes mover.json, then reports `ready` to whoever started this process. */
export function reportReady(dir: string, state: MoverState): void {
  const file = path.join(dir, 'mover.json');
  writeFileSync(`${file}.tmp`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
  reportToStarter('ready');
}

/** Reports to whoever started this process why it cannot work. */
export function reportWhyNot(error: GodwitError): void {
  reportToStarter(JSON.stringify(error));
}

function reportToStarter(line: string): void {
  try {
    writeSync(3, `${line}\n`);
  } catch {
    // Started by hand, or long ago: nobody waits.
  }
}
