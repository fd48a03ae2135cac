import { renameSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { GodwitError } from '../errors.ts';
import type { MoverState } from '../protocol/mover/request.ts';

/** Reports of a mover to the agent that starts it: mover.json, and one line on file descriptor 3. */

export function reportReady(dir: string, state: MoverState): void {
  const file = path.join(dir, 'mover.json');
  writeFileSync(`${file}.tmp`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
  reportToStarter('ready');
}

export function reportWhyNot(error: GodwitError): void {
  reportToStarter(JSON.stringify(error));
}

function reportToStarter(line: string): void {
  try {
    writeSync(3, `${line}\n`);
  } catch {
    // Started by hand or long ago, so there is no reader.
  }
}
