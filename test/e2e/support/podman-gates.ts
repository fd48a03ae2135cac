/** Programs that wait at a call of a test's choice before they become the real ones: what is killed there is killed in time. */
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { podmanPrograms } from '../../../lab/podman/hosts.ts';
import { until } from '../../until.ts';

/** The programs, and the words of their command lines at which they may wait. */
const WAITS = {
  podman: ['checkpoint', 'restore', 'rm'],
  runc: ['checkpoint', 'restore'],
  crun: ['checkpoint', 'restore'],
  nft: ['delete'],
} as const;

const script = (
  directory: string,
  program: string,
  real: string,
  words: readonly string[],
) => `#!/bin/sh
for word in ${words.join(' ')}; do
  case " $* " in
  *" --help "* | *" -h "*) ;;
  *" $word "*)
    if [ -e ${directory}/hold-${program}-$word ]; then
      echo $$ >${directory}/at-${program}-$word.new
      mv ${directory}/at-${program}-$word.new ${directory}/at-${program}-$word
      while [ -e ${directory}/hold-${program}-$word ]; do sleep 0.05; done
    fi
    ;;
  esac
done
exec ${real} "$@"
`;

export interface Gates {
  /** For `drivers.criu.programs`. */
  readonly directory: string;
  /** From now on such a call waits. */
  close(call: string): Promise<void>;
  /** The process of the call that waits. */
  reached(call: string): Promise<number>;
  open(call: string): Promise<void>;
  remove(): Promise<void>;
}

export async function makeGates(): Promise<Gates> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-gates-'));
  for (const [program, words] of Object.entries(WAITS)) {
    const own = path.join(podmanPrograms(), program);
    const file = path.join(directory, program);
    const real = existsSync(own) ? own : `/usr/sbin/${program}`;
    await writeFile(file, script(directory, program, real, words));
    await chmod(file, 0o755);
  }
  for (const each of ['criu', 'conmon', 'netavark'])
    await symlink(path.join(podmanPrograms(), each), path.join(directory, each));
  const at = (what: string, call: string): string => path.join(directory, `${what}-${call}`);
  return {
    directory,
    close: async (call) => {
      await rm(at('at', call), { force: true });
      await writeFile(at('hold', call), '');
    },
    reached: (call) =>
      until(`the call ${call}`, 60_000, async () => {
        const text = await readFile(at('at', call), 'utf8').catch(() => '');
        return text === '' ? undefined : Number(text);
      }),
    open: (call) => rm(at('hold', call), { force: true }),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
