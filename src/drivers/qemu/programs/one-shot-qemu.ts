import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { QmpClient } from '../qmp/client.ts';
import { confined, sandboxWords, type RunAs } from '../user/confine.ts';

/**
 * The program does not end when its monitor closes, and a mover may be killed at any time. A shell therefore
 * kills it when our pipe, which carries no data, closes.
 */
const HELD = 'exec 4<&0; "$@" <&4 3<&- 4<&- & exec <&- 4<&- >&-; read -r _ <&3; kill -9 "$!"';

export interface Question {
  readonly file: string;
  readonly accelerator: 'kvm' | 'tcg';
  readonly cpu?: string;
  readonly host: string;
  readonly deadlineMs: number;
  readonly as?: RunAs | undefined;
  /** False: it does not wait for an arriving guest, and may write to images. */
  readonly incoming?: boolean;
  readonly sandbox?: boolean;
  /** Our open files for it, by number; it opens each by `handedFile`. */
  readonly files?: readonly number[];
}

/** First number of a passed file; the shell and its pipes use the lower ones. */
const FIRST_FILE = 5;

/** Name under which the program opens one of `files`, with our access rights. */
export function handedFile(index: number): string {
  return `/dev/fdset/${index}`;
}

/** Starts the program on an empty machine without a guest, queries it and ends it. It never outlives this process. */
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
