import { z } from 'zod';
import { nodeName } from '../disk.ts';
import { bytes, checkId, guestName } from '../names.ts';
import { MAX_OF_ONE_SOURCE } from '../public/recovery.ts';
import { LARGE_BYTES, route } from '../route.ts';
import { admission, preparation } from './migration.ts';

/** A digest of the devices and the block graph of a guest, by its driver: another one after each change. */
export const layoutDigest = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/);

/** Images of a guest of which its host reports a stamp. */
export const MAX_STAMPS = 64;
/** What its host has seen of an image that a guest only reads. */
export const imageStamps = z
  .array(z.object({ node: nodeName, bytes, writtenNs: z.string().regex(/^\d{1,20}$/) }))
  .max(MAX_STAMPS);

/** Source -> standby host, every 10 s: what its guests are now, and which ones it withdraws. */
export const standbyHeartbeat = z.object({
  guests: z
    .array(
      z.object({
        guest: guestName,
        digest: layoutDigest.optional(),
        /** With `digest`, of the files that were open then; absent: none can be seen, or an earlier build. */
        images: imageStamps.optional(),
      }),
    )
    .max(MAX_OF_ONE_SOURCE),
  withdrawn: z.array(guestName).max(MAX_OF_ONE_SOURCE),
});
export type StandbyHeartbeat = z.infer<typeof standbyHeartbeat>;

/**
 * What a host keeps of a guest of another host, to start it once that host is dead and proved off: what a cold move of it
 * would say. Its source says it while it runs there, after the checks of such a move, whose proofs of storage it rests on.
 */
export const standbyOffer = z.object({
  admission: admission.extend({ id: checkId }),
  preparation,
  /** Of the guest just before it was described; an earlier build sends none, and confirms none. */
  digest: layoutDigest.optional(),
});
export type StandbyOffer = z.infer<typeof standbyOffer>;

export const standbyPeerRoutes = {
  keepStandby: route({
    method: 'PUT',
    path: '/v1/standbys/:guest',
    summary:
      'Keep what starts a guest of the requester here, for when the requester is dead and proved off',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    params: z.object({ guest: guestName }),
    body: standbyOffer,
    response: z.object({ ok: z.literal(true) }),
  }),
  confirmStandbys: route({
    method: 'PUT',
    path: '/v1/standbys',
    summary:
      'Report what the guests of the requester are now that this host keeps, and drop those that it withdraws',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: LARGE_BYTES,
    body: standbyHeartbeat,
    /** Guests that this host does not keep, or of which it has another description. */
    response: z.object({ unknown: z.array(guestName).max(MAX_OF_ONE_SOURCE) }),
  }),
};
export type StandbyCall = keyof typeof standbyPeerRoutes;
