import type { GuestSpec } from '../spec/schema.ts';

/**
 * How a guest's QEMU is started so that a hole in it is worth little: no program that it might start gains a privilege,
 * and it starts none, because its own filter of system calls (`-sandbox`) forbids that. Pure.
 */

/** What is started: a program and its arguments. */
export interface Command {
  readonly file: string;
  readonly argv: readonly string[];
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

/** The same program, which `setpriv` becomes: its process is the one that was started. */
export function confined({ file, argv }: Command): Command {
  return { file: 'setpriv', argv: ['--no-new-privs', '--', file, ...argv] };
}
