import { z } from 'zod';
import { checkId, guestName } from '../names.ts';
import { route } from '../route.ts';
import { admission, preparation } from './migration.ts';

/**
 * What a host keeps of a guest of another host, to start it once that host is dead and proved off: what a cold move of it
 * would say. Its source says it while it runs there, after the checks of such a move, whose proofs of storage it rests on.
 */
export const standbyOffer = z.object({ admission: admission.extend({ id: checkId }), preparation });
export type StandbyOffer = z.infer<typeof standbyOffer>;

export const standbyPeerRoutes = {
  keepStandby: route({
    method: 'PUT',
    path: '/v1/standbys/:guest',
    summary:
      'Keep what starts a guest of the requester here, for when the requester is dead and proved off',
    access: 'agent',
    params: z.object({ guest: guestName }),
    body: standbyOffer,
    response: z.object({ ok: z.literal(true) }),
  }),
};
