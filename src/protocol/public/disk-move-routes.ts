import { z } from 'zod';
import { diskMoveId, diskMoveProgress, diskMoveRequest } from './disk-move.ts';
import { shortText } from '../names.ts';
import { route } from '../route.ts';

const byId = z.object({ id: diskMoveId });

/** Moving a guest's disk to another place of its host. */
export const diskMoveRoutes = {
  moveDisk: route({
    method: 'POST',
    path: '/v1/moves',
    summary: 'Start moving a disk of a guest of this host to another place of this host',
    access: 'operator',
    body: diskMoveRequest,
    response: z.object({ id: diskMoveId }),
  }),
  diskMoves: route({
    method: 'GET',
    path: '/v1/moves',
    summary: 'Moves of disks on this host, newest first',
    access: 'viewer',
    response: z.object({ moves: z.array(diskMoveProgress).max(1000) }),
  }),
  diskMoveEvents: route({
    method: 'GET',
    path: '/v1/moves/:id/events',
    summary: 'The live view of a disk’s move, one line per change, until it ends',
    access: 'viewer',
    params: byId,
    response: diskMoveProgress,
    stream: true,
  }),
  cancelDiskMove: route({
    method: 'POST',
    path: '/v1/moves/:id/cancel',
    summary: 'Ask to leave a disk where it was; says at once what will happen',
    access: 'operator',
    params: byId,
    response: z.object({ accepted: z.boolean(), what: shortText }),
  }),
};
