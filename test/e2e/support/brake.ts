import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chooseQemu } from '../../../lab/guest/qemu.ts';

/** A QEMU that waits before it begins for as long as the brake is held: a destination caught while it prepares. */
export interface Brake {
  /** The program to offer in an agent's configuration. */
  readonly program: string;
  hold(): void;
  release(): void;
  /** To be called at the end, when no QEMU waits any more. */
  remove(): void;
}

export async function makeBrake(): Promise<Brake> {
  const { path: qemu } = await chooseQemu(undefined);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'godwit-brake-'));
  // A guest's QEMU runs as a user of its own.
  chmodSync(dir, 0o755);
  const program = path.join(dir, 'qemu-system-x86_64');
  const held = path.join(dir, 'held');
  // A machine called none is only asked what the program can do.
  const script = `#!/bin/sh
case " $* " in *' -machine none '*) ;; *) while [ -e '${held}' ]; do sleep 0.02; done ;; esac
exec '${qemu}' "$@"
`;
  writeFileSync(program, script);
  chmodSync(program, 0o755);
  return {
    program,
    hold: () => writeFileSync(held, ''),
    release: () => rmSync(held, { force: true }),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
