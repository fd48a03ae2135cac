import { godwitError } from '../../../src/errors.ts';
import { pass } from '../../../src/migration/preflight/check.ts';
import type { ManagedWire, WireLoad } from '../../../src/mover/managed/wire.ts';
import { WIRE_FIGURES } from '../../wire/figures.ts';

const DISK_LINK = {
  sentBytes: 7,
  receivedBytes: 1,
  linkBytes: 9,
  cuts: 0,
  longestCutMs: 0,
  sessions: 1,
};

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
  let hasDisks = false;
  const wire = {
    check: async (disks: boolean) =>
      pass('path', `b opens a receiver${disks ? ' that takes disks' : ''}`, 'both'),
    open: ({ copies }: WireLoad) =>
      life.alive(async () => {
        if (opens === 'closed') throw godwitError('GODWIT_CAPABILITY', { what: 'x', reason: 'y' });
        sockets.add(mover);
        hasDisks = copies.length > 0;
      }),
    close: () =>
      life.alive(async () => {
        if (!sockets.delete(mover)) return undefined;
        return { figures: WIRE_FIGURES, ...(hasDisks ? { disks: DISK_LINK } : {}) };
      }),
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
