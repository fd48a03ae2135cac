import type { GuestSpec } from '../spec/schema.ts';

/**
 * Confines a guest's QEMU so that an exploit gains little: a separate user without new privileges, and QEMU's
 * system call filter (`-sandbox`). Pure.
 */

export interface Command {
  readonly file: string;
  readonly argv: readonly string[];
}

/** Numeric ids, since most of these users have no name. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** False for an adopted guest's QEMU that may start setuid helpers, as it could before. Default: true. */
  readonly noNewPrivs?: boolean;
}

/** Enables each part of QEMU's filter, except `resourcecontrol` if a thread-context must pin threads. */
export function sandboxWords(spec: Pick<GuestSpec, 'objects'>): string[] {
  const pins = spec.objects.some(({ type }) => type === 'thread-context');
  const resources = pins ? 'allow' : 'deny';
  return [
    '-sandbox',
    `on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=${resources}`,
  ];
}

/** Runs the program through `setpriv`, which becomes it, so the pid stays. Default of `as`: the same user. */
export function confined({ file, argv }: Command, as?: RunAs): Command {
  const privileges = as?.noNewPrivs === false ? [] : ['--no-new-privs'];
  const words = [...privileges, ...(as === undefined ? [] : userWords(as))];
  return { file: 'setpriv', argv: [...words, '--', file, ...argv] };
}

export type LockLimit = number | 'unlimited';

/**
 * Lock limit of a QEMU with these `limits`, if this process (limits `own`) may lock less and can raise it, both
 * from `/proc/PID/limits`; undefined: as this process.
 */
export function lockLimitOf(limits: string, own: string, isRoot: boolean): LockLimit | undefined {
  const line = /^Max locked memory\s+(\d+|unlimited)\s+(\d+|unlimited)/m;
  const bytesOf = (word = '0'): number => (word === 'unlimited' ? Infinity : Number(word));
  const bytes = bytesOf(line.exec(limits)?.[1]);
  const [, soft, hard] = line.exec(own) ?? [];
  if (bytes <= bytesOf(soft) || (!isRoot && bytes > bytesOf(hard))) return undefined;
  return bytes === Infinity ? 'unlimited' : bytes;
}

export function mayLock(bytes: LockLimit | undefined, command: Command): Command {
  if (bytes === undefined) return command;
  return { file: 'prlimit', argv: [`--memlock=${bytes}:${bytes}`, command.file, ...command.argv] };
}

function userWords({ uid, gid, groups }: RunAs): string[] {
  return [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`,
    '--inh-caps=-all',
    '--bounding-set=-all',
  ];
}
