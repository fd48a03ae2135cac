import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { QmpClient } from '../qmp/client.ts';
import { confined, sandboxWords, type RunAs } from '../user/confine.ts';

/**
 * The program does not end when its monitor closes, and a mover may be killed at any moment. So a shell holds it, and
 * ends it when the pipe from us, on which nothing is ever written, closes.
 */
const HELD = 'exec 4<&0; "$@" <&4 3<&- 4<&- & exec <&- 4<&- >&-; read -r _ <&3; kill -9 "$!"';

export interface Question {
  readonly file: string;
  readonly accelerator: 'kvm' | 'tcg';
  /** A processor for the empty machine; absent: it has none. */
  readonly cpu?: string;
  /** This host's name, for errors. */
  readonly host: string;
  readonly deadlineMs: number;
  /** Default: as this process. */
  readonly as?: RunAs | undefined;
  /** False: it waits for no guest to come in, and may write to images. */
  readonly incoming?: boolean;
  /** It can filter its own system calls, and does. */
  readonly sandbox?: boolean;
  /** Open files of ours for it, by number: it knows each by `handedFile`. */
  readonly files?: readonly number[];
}

/** The first number of a file that is handed on; the shell and its pipes have those below. */
const FIRST_FILE = 5;

/** The name under which the program opens one of `files`, with the rights with which we opened it. */
export function handedFile(index: number): string {
  return `/dev/fdset/${index}`;
}

/** Starts the program on an empty machine, without a guest, talks to it and ends it. It never outlives this process. */
export async function askProgram<T>(
  {
    file,
    accelerator,
    cpu,
    host,
    deadlineMs,
    as,
    incoming = true,
    sandbox = false,
    files = [],
  }: Question,
  signal: AbortSignal,
  work: (client: QmpClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const base = '-machine none -S -nodefaults -no-user-config -display none -qmp stdio';
  const words = [...base.split(' '), ...(incoming ? ['-incoming', 'defer'] : [])];
  words.push(
    '-accel',
    accelerator,
    ...(cpu === undefined ? [] : ['-cpu', cpu]),
    ...(sandbox ? sandboxWords({ objects: [] }) : []),
  );
  for (const index of files.keys()) {
    words.push('-add-fd', `fd=${FIRST_FILE + index},set=${index}`);
  }
  const command = confined({ file, argv: words }, as);
  const argv = ['-c', HELD, 'sh', command.file, ...command.argv];
  const child = spawn('/bin/sh', argv, {
    stdio: ['pipe', 'pipe', 'ignore', 'pipe', 'ignore', ...files],
  });
  const output = child.stdin as Writable;
  const input = child.stdout as Readable;
  const held = child.stdio[3] as Duplex;
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', (cause) =>
      reject(godwitError('GODWIT_HOST_LACKS', { what: `a working ${file}` }, { cause })),
    );
  });
  failed.catch(() => {});
  try {
    return await withDeadline(`asking ${file}`, deadlineMs, signal, (inner) => {
      const owner = { host, guest: path.basename(file), side: 'source' as const };
      const talk = QmpClient.open({ input, output }, owner, deadlineMs, inner).then(
        async (client) => {
          try {
            return await work(client, inner);
          } finally {
            client.close();
          }
        },
      );
      return Promise.race([talk, failed]);
    });
  } finally {
    held.destroy();
  }
}
