import { z } from 'zod';
import { nodeName } from '../disk.ts';
import { bytes, checkId, guestName } from '../names.ts';
import { MAX_OF_ONE_SOURCE } from '../public/recovery.ts';
import { LARGE_BYTES, route } from '../route.ts';
import { admission, preparation } from './migration.ts';

/** Digest of a guest's devices and block graph, by its driver; it changes with them. */
export const layoutDigest = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/);

export const MAX_STAMPS = 64;
/** Stamps of read-only images, as the guest's host sees them. */
export const imageStamps = z
  .array(z.object({ node: nodeName, bytes, writtenNs: z.string().regex(/^\d{1,20}$/) }))
  .max(MAX_STAMPS);

/** Source -> standby host, every 10 s: the present digests of its guests, and withdrawn guests. */
export const standbyHeartbeat = z.object({
  guests: z
    .array(
      z.object({
        guest: guestName,
        digest: layoutDigest.optional(),
        /** For `digest`: files open at that time; absent: none visible, or an earlier build. */
        images: imageStamps.optional(),
      }),
    )
    .max(MAX_OF_ONE_SOURCE),
  withdrawn: z.array(guestName).max(MAX_OF_ONE_SOURCE),
});
export type StandbyHeartbeat = z.infer<typeof standbyHeartbeat>;

/**
 * Description that a host keeps of another host's guest, to start it once that host is proved off: the data of a cold
 * move. The source sends it after the checks of such a move, including the proofs of storage.
 */
export const standbyOffer = z.object({
  admission: admission.extend({ id: checkId }),
  preparation,
  /** Digest of the guest just before its description; absent: an earlier build, which confirms nothing. */
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
    /** Guests that this host does not keep, or with another description. */
    response: z.object({ unknown: z.array(guestName).max(MAX_OF_ONE_SOURCE) }),
  }),
};
export type StandbyCall = keyof typeof standbyPeerRoutes;
