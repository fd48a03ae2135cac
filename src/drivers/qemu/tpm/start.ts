import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { connectSocket } from '../../../system/files/checked-open.ts';
import { unixSockets, type UnixSocket } from '../../../system/kernel-tables.ts';
import { killProcess } from '../guest/process.ts';
import { findSwtpm } from '../guest/tpm.ts';
import { LOG_FLAGS, logEnd } from '../process/launch.ts';
import { TPM_LOG } from '../spec/names.ts';
import type { TpmSpec } from '../spec/tpm-schema.ts';
import { confined, type Command, type RunAs } from '../user/confine.ts';

const START_MS = 5000;
const ENDS_MS = 2000;
const POLL_MS = 3;
const LOG_LINES = 3;

export interface SwtpmSite extends Omit<Serves, 'hasKey'> {
  readonly host: string;
  readonly directory: string;
  /** Passphrase file; absent: state is written unencrypted. */
  readonly keyFile?: string | undefined;
  readonly as?: RunAs | undefined;
  readonly bounded?: (command: Command) => Command;
}

/** Starts it detached, and returns once it listens. Throws GODWIT_HYPERVISOR with the end of its log if it fails. */
export async function startSwtpm(
  tpm: TpmSpec,
  site: SwtpmSite,
  signal: AbortSignal,
): Promise<void> {
  const { directory, keyFile, as, bounded = (command: Command) => command } = site;
  const hasKey = keyFile !== undefined;
  const files = await Promise.all([
    open(path.join(directory, TPM_LOG), LOG_FLAGS, 0o600),
    ...Array.from({ length: keysOf(tpm, hasKey) }, () => open(keyFile ?? '', 'r')),
  ]);
  try {
    const [log, ...keys] = files;
    const command = bounded(confined(swtpmCommand(tpm, { ...site, hasKey }), as));
    const child = spawn(command.file, command.argv, {
      detached: true,
      cwd: directory,
      stdio: ['ignore', log?.fd, log?.fd, ...keys.map(({ fd }) => fd)],
    });
    const failed = new Promise<never>((_resolve, reject) => {
      child.once('error', (cause) => reject(startError(site, cause.message, cause)));
      child.once('exit', () => reject(startError(site, lastWords(directory))));
    });
    failed.catch(() => undefined);
    child.unref();
    await withDeadline('the start of swtpm', START_MS, signal, (inner) =>
      Promise.race([listens(site.socket, inner), failed]),
    );
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

function lastWords(directory: string): string {
  const text = logEnd(path.join(directory, TPM_LOG), LOG_LINES);
  return text === '' ? 'it ended without a word' : text;
}

function startError({ host }: SwtpmSite, reason: string, cause?: unknown): Error {
  const facts = { hypervisor: 'swtpm', host, command: 'start', reason };
  return godwitError('GODWIT_HYPERVISOR', facts, { cause });
}

/** The socket's file appears a moment earlier; the kernel lists the sockets that accept connections. */
async function listens(socket: string, signal: AbortSignal): Promise<void> {
  const is = ({ boundTo, isListening }: UnixSocket): boolean => boundTo === socket && isListening;
  while (!unixSockets(await readFile('/proc/self/net/unix', 'utf8')).some(is)) {
    await systemClock.sleep(POLL_MS, signal);
  }
}

/** Ends the listening process after its QEMU: waits `timeoutMs`, then kills it. Does nothing if there is none. */
export async function endSwtpm(
  socket: string,
  signal: AbortSignal,
  timeoutMs = ENDS_MS,
): Promise<void> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const found = await findSwtpm(socket);
    if (found === undefined) return;
    if (performance.now() >= until) {
      await killProcess(found, ENDS_MS, signal);
      return;
    }
    await systemClock.sleep(POLL_MS, signal);
  }
}

/** swtpm's control channel (tpm_ioctl.h): a command's number and its argument. */
const CMD_INIT = 2;
const ANSWER_BYTES = 4;

/**
 * Initializes the TPM, as its QEMU will after the state arrives. Rejects with swtpm's result if it fails. Only
 * four bytes of the other program's answer are read.
 */
export async function initTpm(socket: string, signal: AbortSignal, user: number): Promise<void> {
  const connection = connectSocket(socket, user);
  try {
    const answer = await new Promise<Buffer>((resolve, reject) => {
      let got = Buffer.alloc(0);
      connection.on('data', (bytes: Buffer) => {
        got = Buffer.concat([got, bytes]);
        if (got.length >= ANSWER_BYTES) resolve(got);
      });
      connection.once('error', reject);
      connection.once('close', () => reject(new Error('it closed its control channel')));
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      const command = Buffer.alloc(8);
      command.writeUInt32BE(CMD_INIT);
      connection.write(command);
    });
    const result = answer.readUInt32BE(0);
    if (result !== 0) throw new Error(`its TPM does not start: result 0x${result.toString(16)}`);
  } finally {
    connection.destroy();
  }
}

/** First passed file; the lower numbers are its input and log. */
const FIRST_KEY_FD = 3;

interface Serves {
  readonly program: string;
  readonly stateDir: string;
  readonly socket: string;
  /** It has a passphrase for written state at FIRST_KEY_FD, and another one for received state if that is encrypted. */
  readonly hasKey: boolean;
}

/** swtpm with a passphrase encrypts its state, even if the state was unencrypted at the source. */
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
      '--terminate',
    ],
  };
}

function keysOf({ migrationKey }: TpmSpec, hasKey: boolean): number {
  if (!hasKey) return 0;
  return migrationKey === undefined ? 1 : 2;
}
