import type { DestinationStatus } from '../../../protocol/peer/migration.ts';
import { resumePeer } from './source-base.ts';
import type { SourceContext } from './source-context.ts';

/**
 * The destination's mover may take this long to answer, ms: memory fills the same link. The guest runs meanwhile, so that a
 * slow answer costs it nothing; a mover that is dead refuses the connection at once.
 */
const ANSWER_MS = 5000;

/**
 * Whether the switch would find its other end: the destination's mover answers now and waits for the guest, and what the
 * mover carries has a link. To be asked before the guest is stopped: towards a mover that is dead it would be paused
 * until another has taken over.
 */
export async function isReadyThere(context: SourceContext, signal: AbortSignal): Promise<boolean> {
  if (!haveLinks(context)) return false;
  resumePeer(context);
  const options = { signal, deadlineMs: ANSWER_MS };
  const status = await context.peer
    .once((api) => api.status({}, options))
    .catch(() => {
      // Whatever it is: the next look asks again, and the watch over the destination minds how long that has lasted.
      signal.throwIfAborted();
      return undefined;
    });
  return status !== undefined && waits(status) && haveLinks(context);
}

function haveLinks({ dataPath, disks, state }: SourceContext): boolean {
  if (dataPath.isCut) return false;
  if ((state().known.copies ?? []).length === 0) return true;
  return disks.isOpen && disks.areWhole && disks.link?.cutForMs === undefined;
}

/** A rehearsal comes to its switch unarmed. */
function waits({ state, hypervisor }: DestinationStatus): boolean {
  return (state === 'armed' || state === 'prepared') && hypervisor !== 'gone';
}
