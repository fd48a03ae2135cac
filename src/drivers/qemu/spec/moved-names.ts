import { createHash } from 'node:crypto';

/**
 * Names of the block nodes of an image that took another's place while the guest ran. The command line knows only the
 * first one's: a name says by a hash which node of the command line it stands in for, over any number of moves. Pure.
 */

const MOVED = /^gwm(\d)-([0-9a-f]{16})$/;

/** What a node's name stands for: the same for the node itself and for all that took its place. */
export function rootOfName(name: string): string {
  return MOVED.exec(name)?.[2] ?? createHash('sha256').update(name).digest('hex').slice(0, 16);
}

/** A name for what takes a node's place, which none of `taken` has. */
export function nextName(name: string, taken: ReadonlySet<string>): string {
  for (let number = 0; number < 10; number += 1) {
    const made = `gwm${number}-${rootOfName(name)}`;
    if (!taken.has(made)) return made;
  }
  throw new RangeError(`ten block nodes stand in for ${name}`);
}

/** Whether one node took the other's place. */
export function standsInFor(name: string, given: string): boolean {
  return name !== given && MOVED.test(name) && rootOfName(name) === rootOfName(given);
}
