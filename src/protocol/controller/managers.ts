import { z } from 'zod';
import { hostName, moment, shortText } from '../names.ts';
import { name64 } from '../public/hosts/host.ts';
import { LARGE_BYTES, REPORT_BYTES, route } from '../route.ts';

export const MAX_MANAGERS = 32;
const STORING = ['GODWIT_STORE'] as const;
const text = z.string().min(1).max(256);
const fingerprint = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .max(64);
const count = z.number().int().nonnegative();

export const managerPlace = z.object({
  driver: name64,
  url: text,
  user: text,
  /** SHA-256 of its certificate, hex; absent: verified by a CA. */
  fingerprint: fingerprint.optional(),
  /** PEM of that CA; absent: the system's CAs. */
  ca: z.string().max(65_536).optional(),
  options: z.record(name64, z.unknown()).default({}),
});
export type ManagerPlace = z.infer<typeof managerPlace>;

/** `silent`: it does not answer or refuses; its guests' state is unknown. `starting`: not asked yet. */
const managerState = z.enum(['starting', 'up', 'silent']);

export const managerEntry = managerPlace.omit({ ca: true, options: true }).extend({
  name: hostName,
  state: managerState,
  /** Start of the state; for a silent one its last answer. */
  since: moment,
  reason: shortText.optional(),
  hosts: count.optional(),
  guests: count.optional(),
  /** Unix socket of its agent, for users of the controller's host. */
  socket: z.string().max(4096),
  createdAt: moment,
  createdBy: z.string().max(256),
});
export type ManagerEntry = z.infer<typeof managerEntry>;

const managerFinding = z.object({
  name: name64,
  verdict: z.enum(['ok', 'warn', 'fail']),
  found: z.string().max(8192),
  hint: z.string().max(8192).optional(),
});

const named = z.object({ name: hostName });
const findings = z.array(managerFinding).max(4096);

export const managerRoutes = {
  managers: route({
    method: 'GET',
    path: '/v1/managers',
    summary: 'Managers (vCenters, Hyper-V hosts) of this controller, and which of them are silent',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    response: z.object({ managers: z.array(managerEntry).max(MAX_MANAGERS) }),
    errors: STORING,
  }),
  manager: route({
    method: 'GET',
    path: '/v1/managers/:name',
    summary: 'One manager',
    access: 'viewer',
    params: named,
    response: managerEntry,
    errors: [...STORING, 'GODWIT_MANAGER_UNKNOWN'],
  }),
  managerCertificate: route({
    method: 'POST',
    path: '/v1/managers/certificate',
    summary:
      'The certificate that is shown at an address, to be compared by a person before it is pinned; nothing is sent there',
    access: 'admin',
    body: z.object({ url: text }),
    response: z.object({
      fingerprint,
      subject: z.string().max(1024),
      issuer: z.string().max(1024),
      validTo: moment,
    }),
    errors: [...STORING, 'GODWIT_UNREACHABLE', 'GODWIT_MANAGER_REFUSED'],
  }),
  addManager: route({
    method: 'POST',
    path: '/v1/managers',
    summary: 'Add a manager: it is asked first, and its password is kept encrypted',
    access: 'admin',
    answerBytes: REPORT_BYTES,
    bodyBytes: LARGE_BYTES,
    body: managerPlace.extend({ name: hostName, password: z.string().min(1).max(1024) }),
    response: z.object({ manager: managerEntry, checks: findings }),
    errors: [...STORING, 'GODWIT_MANAGER_TAKEN', 'GODWIT_MANAGER_REFUSED', 'GODWIT_OVERLOADED'],
  }),
  diagnoseManager: route({
    method: 'POST',
    path: '/v1/managers/:name/diagnosis',
    summary: 'Ask a manager whether Godwit can work with it; reads only',
    access: 'operator',
    answerBytes: REPORT_BYTES,
    params: named,
    response: z.object({ checks: findings }),
    errors: [...STORING, 'GODWIT_MANAGER_UNKNOWN', 'GODWIT_MANAGER_KEY'],
  }),
  rotateManagerKey: route({
    method: 'POST',
    path: '/v1/managers/key',
    summary: 'Encrypt the passwords of all managers anew, under a new key; the old one is removed',
    access: 'admin',
    response: z.object({ managers: count }),
    errors: [...STORING, 'GODWIT_MANAGER_KEY'],
  }),
  removeManager: route({
    method: 'DELETE',
    path: '/v1/managers/:name',
    summary: 'Remove a manager with its password; it and its guests stay as they are',
    access: 'admin',
    params: named,
    response: z.object({ ok: z.literal(true) }),
    errors: [...STORING, 'GODWIT_MANAGER_UNKNOWN', 'GODWIT_MANAGER_BUSY'],
  }),
};
