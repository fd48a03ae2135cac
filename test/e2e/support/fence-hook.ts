import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/**
 * The hook of the hosts: it proves what the file beside it says. `no`: nothing; `kill`: it ends every process that the
 * file names, as turning a host off would, and proves it.
 */
export interface Hook {
  readonly command: string;
  /** What it was called with, one line a call. */
  calls(): string[];
  says(word: 'no' | 'kill', pids?: readonly number[]): void;
  remove(): void;
}

export function makeHook(): Hook {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'godwit-fence-'));
  const command = path.join(dir, 'fence');
  const file = (name: string): string => path.join(dir, name);
  writeFileSync(
    command,
    `#!/bin/sh
echo "$1 $GODWIT_FENCE_SIDE $GODWIT_GUEST" >> '${file('calls')}'
[ "$(cat '${file('word')}')" = kill ] || { echo 'no answer from its power supply' >&2; exit 1; }
for pid in $(cat '${file('pids')}'); do kill -9 "$pid"; done
echo 'power is off'
`,
  );
  chmodSync(command, 0o755);
  writeFileSync(file('calls'), '');
  const says = (word: string, pids: readonly number[] = []): void => {
    writeFileSync(file('word'), word);
    writeFileSync(file('pids'), pids.join(' '));
  };
  says('no');
  return {
    command,
    calls: () => readFileSync(file('calls'), 'utf8').trim().split('\n').filter(Boolean),
    says,
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
