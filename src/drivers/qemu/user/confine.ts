import type { GuestSpec } from '../spec/schema.ts';

/**
 * How a guest's QEMU is started so that a hole in it is worth little: as a user of its own, who can gain no privilege,
 * and with QEMU's own filter of system calls (`-sandbox`). Pure.
 */

/** What is started: a program and its arguments. */
export interface Command {
  readonly file: string;
  readonly argv: readonly string[];
}

/** By number: most of these users have no name. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  /** Further groups. */
  readonly groups: readonly number[];
  /** False: an adopted guest's QEMU that may start setuid helpers, as it could before. Default: true. */
  readonly noNewPrivs?: boolean;
}

/** Each part of QEMU's filter; `resourcecontrol` is what a thread-context needs to pin threads. */
export function sandboxWords(spec: Pick<GuestSpec, 'objects'>): string[] {
  const pins = spec.objects.some(({ type }) => type === 'thread-context');
  const resources = pins ? 'allow' : 'deny';
  return [
    '-sandbox',
    `on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=${resources}`,
  ];
}

/** The same program, which `setpriv` becomes: its process is the one that was started. `as`: by default, the same user. */
export function confined({ file, argv }: Command, as?: RunAs): Command {
  const privileges = as?.noNewPrivs === false ? [] : ['--no-new-privs'];
  const words = [...privileges, ...(as === undefined ? [] : userWords(as))];
  return { file: 'setpriv', argv: [...words, '--', file, ...argv] };
}

export type LockLimit = number | 'unlimited';

/**
 * What a QEMU of these limits may lock, where this process, of `own` limits (both `/proc/PID/limits`), may lock less and can give
 * it that much; undefined: as this process.
 */
export function lockLimitOf(limits: string, own: string, isRoot: boolean): LockLimit | undefined {
  const line = /^Max locked memory\s+(\d+|unlimited)\s+(\d+|unlimited)/m;
  const bytesOf = (word = '0'): number => (word === 'unlimited' ? Infinity : Number(word));
  const bytes = bytesOf(line.exec(limits)?.[1]);
  const [, soft, hard] = line.exec(own) ?? [];
  if (bytes <= bytesOf(soft) || (!isRoot && bytes > bytesOf(hard))) return undefined;
  return bytes === Infinity ? 'unlimited' : bytes;
}

/** The same with a limit of memory that it may lock. */
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
