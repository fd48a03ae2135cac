import type { MigrationOutcome } from '../../../src/protocol/controller/history.ts';
import type { Move } from '../../../src/protocol/controller/fleet-request.ts';
import type { Glyph } from './icons.tsx';
import { Badge, type Tone } from './states.tsx';

/** How migrations end, and where the moves of a request stand: one look for each, everywhere. */
const LOOKS = {
  open: ['under way', 'accent', 'moving'],
  running: ['under way', 'accent', 'moving'],
  chosen: ['about to begin', 'calm', 'wait'],
  withdrawing: ['being withdrawn', 'warn', 'back'],
  done: ['done', 'good', 'good'],
  failed: ['failed', 'bad', 'bad'],
  cancelled: ['cancelled', 'calm', 'bad'],
  held: ['held: an operator must decide', 'bad', 'warn'],
  lost: ['lost', 'bad', 'bad'],
  rehearsed: ['rehearsed', 'good', 'good'],
  dropped: ['never began', 'calm', 'bad'],
} as const satisfies Record<
  MigrationOutcome | Move['phase'] | 'open',
  readonly [word: string, tone: Tone, glyph: Glyph]
>;

/** `more`: what is said besides, such as how far it is. */
export function OutcomeBadge({
  outcome,
  more = '',
}: {
  outcome: MigrationOutcome | Move['phase'] | undefined;
  more?: string;
}) {
  const [word, tone, glyph] = LOOKS[outcome ?? 'open'];
  return (
    <Badge tone={tone} glyph={glyph}>
      {word}
      {more}
    </Badge>
  );
}
