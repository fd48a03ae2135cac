import { z } from 'zod';
import { fingerprint, hostName, MAX_AUTHORITIES, moment, shortText } from '../names.ts';
import { LARGE_BYTES, route } from '../route.ts';

/** Of one kind, to one peer, since its agent began; what the movers of its migrations refused counts with it. */
export const refusal = z.object({
  /** The name in its certificate and its role, or the network from which it called. */
  peer: z.string().max(300),
  /** An error code, or `connection`: it was refused before it could say who it is. */
  code: z.string().max(64),
  count: z.number().int().positive(),
  /** The last one: the part, who sent it, and what is allowed. */
  message: z.string().max(500),
  /** When the last one was, ISO 8601. */
  at: moment,
});
export type Refusal = z.infer<typeof refusal>;

export const MAX_REFUSALS = 256;
export const MAX_TWO_HOLDERS = 64;

/** A host that shows another certificate than the newest one of its name, which somebody uses. Of the agent beside the CA. */
const twoHolders = z.object({
  name: hostName,
  /** Of the newest one, in hexadecimal, and of the one that the host itself shows. */
  serial: z.string().max(64),
  shownByHost: z.string().max(64),
  /** Seen since, ISO 8601. */
  at: moment,
});
export type TwoHolders = z.infer<typeof twoHolders>;

export const trust = z.object({
  host: hostName,
  certificate: z.object({
    /** ISO 8601. */
    validTo: moment,
    /** The CA that signed it; absent: an agent of an earlier build, or none of the CAs that the host trusts. */
    issuer: fingerprint.optional(),
    /** Renewals that failed since the last one that did not, and why the last of them did. */
    failures: z.number().int().nonnegative(),
    problem: shortText.optional(),
  }),
  /** The CAs that this host trusts; absent: an agent of an earlier build. */
  authorities: z.array(fingerprint).max(MAX_AUTHORITIES).optional(),
  /** Migrations under way that began before this host's CAs or certificate last changed: hypervisors keep the earlier files. */
  earlierMigrations: z.number().int().positive().optional(),
  /** Why the CAs of the fleet's list cannot be taken. */
  authoritiesProblem: shortText.optional(),
  /** The fleet's list; absent where this host has never had one. */
  list: z
    .object({
      number: z.number().int(),
      issuedAt: moment,
      expiresAt: moment,
      holder: hostName.optional(),
    })
    .optional(),
  /** Why the list on disk cannot be used. */
  listProblem: shortText.optional(),
  /** Absent: none was seen. */
  twoHolders: z.array(twoHolders).max(MAX_TWO_HOLDERS).optional(),
  /** The last refused first. */
  refusals: z.array(refusal).max(MAX_REFUSALS),
});
export type Trust = z.input<typeof trust>;

export const trustRoutes = {
  trust: route({
    method: 'GET',
    path: '/v1/trust',
    summary: 'Certificate and fleet’s list of this host, and whom it refused what',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    response: trust,
    errors: ['GODWIT_PKI'],
  }),
};
