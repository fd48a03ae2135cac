import { wordFor, type MoveState } from '../../migration/disk-move.ts';
import { defined } from '../../protocol/defined.ts';
import type { DiskMoveProgress } from '../../protocol/public/disk-move.ts';
import type { Figures } from './figures.ts';

/** Progress of a disk move from observations, or from its last record after the end. */
export function progressOf(
  move: MoveState,
  figures: Pick<Figures, 'copiedBytes' | 'totalBytes' | 'rate' | 'etaMs'>,
  now: { readonly host: string; readonly nowMs: number; readonly note: string | undefined },
): DiskMoveProgress {
  const { plan, ended } = move;
  const { request, id, from, to, createdAt } = plan;
  const { copiedBytes, totalBytes } = ended ?? figures;
  const { etaMs, rate } = figures;
  const state = wordFor(move);
  const note = ended === undefined ? now.note : ended.note;
  const error = ended === undefined ? move.error : ended.error;
  return {
    id,
    guest: request.guest,
    host: now.host,
    disk: request.disk,
    from,
    to,
    state,
    copiedBytes,
    totalBytes,
    rate: Math.round(rate),
    ...(state === 'copying' && etaMs !== undefined ? { etaMs } : {}),
    elapsedMs: ended?.elapsedMs ?? Math.max(0, now.nowMs - Date.parse(createdAt)),
    startedAt: createdAt,
    ...(ended?.waitedMs === undefined ? {} : { waitedMs: ended.waitedMs }),
    ...defined({ note }),
    ...(ended?.kept === undefined ? {} : { kept: ended.kept }),
    ...defined({ error }),
  };
}
