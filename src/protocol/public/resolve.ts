import { z } from 'zod';
import { serialError } from '../errors.ts';
import { phase } from './migration.ts';
import { epoch, guestName, hostName, migrationId, shortText } from '../names.ts';
import { name64 } from './hosts/host.ts';
import { siteCheck } from './site-check.ts';

/** `elsewhere`: another host has the guest, and the source's copy is given up. */
export const runAt = z.enum(['source', 'destination', 'elsewhere']);
export type RunAt = z.infer<typeof runAt>;
export const runAtSide = runAt.exclude(['elsewhere']);
export type RunAtSide = z.infer<typeof runAtSide>;

/** The hypervisor is queried again. */
export const sideView = z.object({
  id: migrationId,
  guest: guestName,
  host: hostName,
  side: z.enum(['source', 'destination']),
  /** Absent before the first record. */
  epoch: epoch.optional(),
  phase,
  right: z.enum([
    'held',
    'armed',
    'committing',
    'passed',
    'abandoned',
    'none',
    'running',
    'refused',
  ]),
  /** The guest here. `unknown`: its hypervisor lives but was not asked, or did not answer. */
  hypervisor: z.enum(['none', 'running', 'paused', 'incoming', 'handed-over', 'gone', 'unknown']),
  /** Destination: everything has arrived. Source: everything was handed over. */
  complete: z.boolean(),
  /** The guest's memory is, or was, split between the hosts. */
  postcopy: z.boolean(),
  /** Source: no commit was sent, or the destination refused it. Earlier builds do not report it. */
  neverRanThere: z.literal(true).optional(),
  /** Destination: it was restarted while armed, and does not know whether the guest ran. */
  unsure: z.boolean(),
  /** Destination: by its journal the guest has run there. Absent: not reported. */
  hasRun: z.boolean().optional(),
  moverAlive: z.boolean(),
  error: serialError.optional(),
  uuid: name64.optional(),
  /** Destination: state of the site's check. */
  siteCheck: siteCheck.optional(),
});
export type SideView = z.infer<typeof sideView>;

export const unasked = z.object({ host: hostName, why: shortText });
export type SilentHost = z.infer<typeof unasked>;

/** A host that may have the guest, and the evidence. */
export const hostDoubts = z.object({
  host: hostName,
  doubts: z.array(z.string().max(128)).max(16),
});
export type HostDoubts = z.infer<typeof hostDoubts>;
export const answersFor = z.array(hostDoubts).max(1024);

/**
 * `waits`: harmless, but without effect until the other host answers. `unknown`: safe if every host of the fleet had
 * been asked and had no copy.
 */
export const answer = z.object({
  runAt,
  verdict: z.enum(['safe', 'risky', 'unknown', 'waits', 'wrong']),
  why: shortText,
  risks: z.array(shortText).max(8),
  proof: z.enum(['ask', 'observed', 'none']),
});
export type Answer = z.infer<typeof answer>;

export const resolution = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  here: sideView,
  there: sideView.optional(),
  /** The manager's report of the guest's place, or `why` there is none. There is no other side then. */
  manager: z
    .object({
      at: z.enum(['source', 'destination', 'elsewhere', 'unknown']),
      busy: z.boolean().optional(),
      why: shortText.optional(),
    })
    .optional(),
  unreachable: shortText.optional(),
  /** This host has a fencing hook, which is called before an operator must insist. */
  fencing: z.boolean(),
  /** `elsewhere` only if it can be followed. */
  answers: z.array(answer).max(3),
  /** Hosts that did not answer about the guest. */
  unasked: z.array(unasked).max(1024).optional(),
  /** Hosts that an insisting operator must answer for, and their evidence. */
  inDoubt: answersFor.optional(),
  safe: runAt.optional(),
});
export type Resolution = z.infer<typeof resolution>;

export const resolveRequest = z.object({
  runAt,
  confirm: z.string().max(128),
  iKnow: z.boolean().default(false),
  /** `inDoubt` as shown; it covers nothing that has changed since. */
  answersFor: answersFor.optional(),
});
export type ResolveRequest = z.infer<typeof resolveRequest>;

export const resolveAnswer = z.object({
  what: shortText,
  proof: z.enum(['ask', 'observed', 'fenced', 'operator']),
  /** The unreadable record was set aside: the host no longer knows the migration. */
  setAside: z.boolean().optional(),
});
export type ResolveAnswer = z.infer<typeof resolveAnswer>;
