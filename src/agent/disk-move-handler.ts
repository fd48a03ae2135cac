import type { Log } from '../log.ts';
import { defined } from '../protocol/defined.ts';
import type { diskMoveRoutes } from '../protocol/public/disk-move-routes.ts';
import type { DiskMoveProgress } from '../protocol/public/disk-move.ts';
import { pageOf } from '../protocol/public/page.ts';
import type { Handlers } from '../rpc/server.ts';
import type { DiskMoves } from './disk-moves.ts';

export interface DiskMoveHandlerDependencies {
  readonly diskMoves: DiskMoves;
  readonly log: Log;
}

export function diskMoveHandlers({
  diskMoves,
  log,
}: DiskMoveHandlerDependencies): Handlers<typeof diskMoveRoutes> {
  return {
    moveDisk: async ({ body, caller }) => {
      const id = await diskMoves.begin(body);
      const { guest, disk, to } = body;
      log.info({ id, guest, disk, to, by: caller.name }, 'the move of a disk was started');
      return { id };
    },
    diskMoves: ({ query }) => {
      const keyOf = ({ startedAt, id }: DiskMoveProgress) => [startedAt, id] as const;
      const { items, next } = pageOf(diskMoves.list(), keyOf, query, 'last to first');
      return { moves: items, ...defined({ next }) };
    },
    diskMoveEvents: ({ params, signal }) => diskMoves.events(params.id, signal),
    cancelDiskMove: async ({ params, caller }) => {
      const answer = await diskMoves.cancel(params.id);
      log.info({ id: params.id, by: caller.name, ...answer }, 'a cancel was asked for');
      return answer;
    },
  };
}
