import type { TpmSpec } from '../spec/tpm-schema.ts';
import type { Command } from '../user/confine.ts';

/** How swtpm is started. Pure. */

/** The first file that is handed to it; those below are its input and its log. */
const FIRST_KEY_FD = 3;

export interface Serves {
  readonly program: string;
  /** Where it keeps what it holds. */
  readonly stateDir: string;
  /** Where it listens for its QEMU. */
  readonly socket: string;
  /** It has a passphrase for what it writes, at FIRST_KEY_FD, and one more for what it takes where that is encrypted. */
  readonly hasKey: boolean;
}

/** With a passphrase it encrypts what it writes, even if the state was plain at the source. */
export function swtpmCommand(tpm: TpmSpec, { program, stateDir, socket, hasKey }: Serves): Command {
  const { version, key = { mode: 'aes-256-cbc', kdf: 'pbkdf2' }, migrationKey } = tpm;
  const option = (fd: number, { mode, kdf }: typeof key): string =>
    `pwdfd=${fd},mode=${mode},kdf=${kdf}`;
  return {
    file: program,
    argv: [
      'socket',
      ...(version === '2.0' ? ['--tpm2'] : []),
      '--tpmstate',
      `dir=${stateDir},mode=0600`,
      '--ctrl',
      `type=unixio,path=${socket},mode=0600`,
      ...(hasKey ? ['--key', option(FIRST_KEY_FD, key)] : []),
      ...(hasKey && migrationKey !== undefined
        ? ['--migration-key', option(FIRST_KEY_FD + 1, migrationKey)]
        : []),
      // It ends when its QEMU has ended in whatever way.
      '--terminate',
    ],
  };
}

/** How many passphrases it is handed, each as an open file. */
export function keysOf({ migrationKey }: TpmSpec, hasKey: boolean): number {
  if (!hasKey) return 0;
  return migrationKey === undefined ? 1 : 2;
}
