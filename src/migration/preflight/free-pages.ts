import type { StreamMode } from '../../protocol/public/migration.ts';
import { passes, type Finding } from './finding.ts';

/** Reports whether free pages are sent of a guest whose balloon device requests hints. Pure. */

export type FreePageHints = 'given' | 'not-given' | 'unknown';

/** `hints`: undefined if the hypervisor does not request them. */
export function judgeFreePages(hints: FreePageHints | undefined, mode: StreamMode): Finding[] {
  if (hints === undefined) return [];
  if (mode !== 'precopy') {
    const why = 'the hypervisor asks for no hints of free pages where post-copy may follow';
    return [passes(`${why}: with --mode ${mode} free pages that hold something are sent`)];
  }
  return [passes(WORDS[hints])];
}

const WORDS: Readonly<Record<FreePageHints, string>> = {
  given:
    'the driver of its balloon gives hints of free pages while memory moves: those are not sent',
  'not-given':
    'its balloon device asks for hints of free pages, and the driver in the guest gives none: free pages that hold something are sent',
  unknown:
    'its balloon device asks for hints of free pages: whether the driver in the guest gives them is not known',
};
