import { z } from 'zod';
import { fingerprint, hostName, MAX_AUTHORITIES, shortText } from '../names.ts';
import { LARGE_BYTES, role, route } from '../route.ts';

/** Of hosts, persons, controllers and relays together. */
export const MAX_ROTATION_MEMBERS = 4096;

const member = z.object({
  name: hostName,
  role,
  /** CAs in its ca.crt; absent: unknown. Hosts report them; others report them when they renew. */
  trusts: z.array(fingerprint).max(MAX_AUTHORITIES).optional(),
  /** The CA of its certificate. */
  issuer: fingerprint.optional(),
  /** Migrations of a host that began before its CAs or its certificate last changed. */
  earlierMigrations: z.number().int().positive().optional(),
  /** Why that is unknown. */
  problem: shortText.optional(),
});
export type RotationMember = z.infer<typeof member>;

const rotation = z.object({
  /** `distributing`: members get the new CA, and the old one issues. `renewing`: the new one issues. */
  stage: z.enum(['idle', 'distributing', 'renewing']),
  issuing: fingerprint,
  authorities: z.array(fingerprint).max(MAX_AUTHORITIES),
  members: z.array(member).max(MAX_ROTATION_MEMBERS),
  /** Members beyond that number. */
  omitted: z.number().int().positive().optional(),
});
export type CaRotation = z.infer<typeof rotation>;

export const rotationRoutes = {
  caRotation: route({
    method: 'GET',
    path: '/v1/pki/rotation',
    summary: 'Which CAs each member trusts and which CA issued its certificate, asked at the CA',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    response: rotation,
    errors: ['GODWIT_PKI'],
  }),
};
