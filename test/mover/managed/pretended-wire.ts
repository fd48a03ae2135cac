import { godwitError } from '../../../src/errors.ts';
import { pass } from '../../../src/migration/preflight/check.ts';
import type { ManagedWire } from '../../../src/mover/managed/wire.ts';
import { WIRE_FIGURES } from '../../wire/figures.ts';

/** What a mover lives by: what a dead one waits for never comes. */
interface Life {
  readonly dead: boolean;
  alive<T>(work: () => Promise<T>): Promise<T>;
}

/** A pretended wire, whose socket outlives a mover that dies. */
export function wireOf(
  opens: 'open' | 'closed' | 'stuck' | undefined,
  life: Life,
  mover: number,
  sockets: Set<number>,
): { wire?: Pick<ManagedWire, 'check' | 'open' | 'close' | 'abort' | 'sweep'> } {
  if (opens === undefined) return {};
  const wire = {
    check: async () => pass('path', 'b opens a receiver', 'both'),
    open: () =>
      life.alive(async () => {
        if (opens === 'closed') throw godwitError('GODWIT_CAPABILITY', { what: 'x', reason: 'y' });
        sockets.add(mover);
      }),
    close: () =>
      life.alive(async () => (sockets.delete(mover) ? { figures: WIRE_FIGURES } : undefined)),
    abort: () => {
      if (!life.dead) sockets.delete(mover);
    },
    sweep: async () => {
      if (opens === 'stuck') throw new Error('EACCES');
      sockets.clear();
    },
  };
  return { wire };
}
