import { createHash } from 'node:crypto';

/**
 * Block node names of an image that replaced another at run time. The command line has only the original's name,
 * so the new name contains its hash, which stays the same over any number of moves. Pure.
 */

const MOVED = /^gwm(\d)-([0-9a-f]{16})$/;

/** Hash in a name: equal for the original node and all its replacements. */
export function rootOfName(name: string): string {
  return MOVED.exec(name)?.[2] ?? createHash('sha256').update(name).digest('hex').slice(0, 16);
}

export function nextName(name: string, taken: ReadonlySet<string>): string {
  for (let number = 0; number < 10; number += 1) {
    const made = `gwm${number}-${rootOfName(name)}`;
    if (!taken.has(made)) return made;
  }
  throw new RangeError(`ten block nodes stand in for ${name}`);
}

export function standsInFor(name: string, given: string): boolean {
  return name !== given && MOVED.test(name) && rootOfName(name) === rootOfName(given);
}
