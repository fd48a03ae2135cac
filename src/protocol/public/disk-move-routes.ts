import { z } from 'zod';
import {
  diskMoveId,
  diskMoveProgress,
  diskMoveRequest,
  diskMoveResolution,
  diskMoveResolveRequest,
} from './disk-move.ts';
import { shortText } from '../names.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from './page.ts';
import { LARGE_BYTES, REPORT_BYTES, route } from '../route.ts';
import type { ErrorCode } from '../../errors.ts';
import { LOOKING, TAKING_HOLD } from '../route-errors.ts';

const byId = z.object({ id: diskMoveId });
const HELD = ['GODWIT_JOURNAL_DAMAGED', 'GODWIT_REQUEST_DAMAGED'] as const satisfies ErrorCode[];

export const diskMoveRoutes = {
  moveDisk: route({
    method: 'POST',
    path: '/v1/moves',
    summary: 'Start moving a disk of a guest of this host to another place of this host',
    access: 'orders',
    body: diskMoveRequest,
    response: z.object({ id: diskMoveId }),
    errors: [
      ...TAKING_HOLD,
      'GODWIT_DISK_UNKNOWN',
      'GODWIT_DISK_FIXED',
      'GODWIT_DISK_PLACE',
      'GODWIT_DISK_SPACE',
      'GODWIT_DISK_FAILED',
      'GODWIT_DISK_MISSING',
      'GODWIT_DISK_BUSY',
      'GODWIT_DISK_FORMAT',
      'GODWIT_DISK_LOCAL',
      'GODWIT_JOURNAL',
    ],
  }),
  diskMoves: route({
    method: 'GET',
    path: '/v1/moves',
    summary: 'Moves of disks on this host, newest first',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    query: z.object(pageQuery(MAX_PER_PAGE)),
    response: z.object({
      moves: z.array(diskMoveProgress).max(MAX_PER_PAGE),
      next: cursor.optional(),
    }),
    errors: [],
  }),
  diskMoveEvents: route({
    method: 'GET',
    path: '/v1/moves/:id/events',
    summary: 'The live view of a disk’s move, one line per change, until it ends',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    params: byId,
    response: diskMoveProgress,
    stream: true,
    errors: ['GODWIT_DISK_MOVE_UNKNOWN', 'GODWIT_JOURNAL', ...HELD],
  }),
  cancelDiskMove: route({
    method: 'POST',
    path: '/v1/moves/:id/cancel',
    summary: 'Ask to leave a disk where it was; says at once what will happen',
    access: 'orders',
    params: byId,
    response: z.object({ accepted: z.boolean(), what: shortText }),
    errors: ['GODWIT_DISK_MOVE_UNKNOWN', 'GODWIT_JOURNAL', ...LOOKING, ...HELD],
  }),
  diskMoveResolution: route({
    method: 'GET',
    path: '/v1/moves/:id/resolution',
    summary: 'A disk move whose journal cannot be read, and what its hypervisor reports',
    access: 'viewer',
    params: byId,
    response: diskMoveResolution,
    errors: ['GODWIT_DISK_MOVE_UNKNOWN', 'GODWIT_RESOLVE_REFUSED', ...LOOKING],
  }),
  resolveDiskMove: route({
    method: 'POST',
    path: '/v1/moves/:id/resolve',
    summary:
      'An operator answers which image a guest uses, and sets the record of its disk move aside',
    access: 'operator',
    params: byId,
    body: diskMoveResolveRequest,
    response: z.object({ what: shortText }),
    errors: [
      'GODWIT_DISK_MOVE_UNKNOWN',
      'GODWIT_RESOLVE_REFUSED',
      'GODWIT_RESOLVE_UNPROVED',
      'GODWIT_USAGE',
      ...LOOKING,
    ],
  }),
};
