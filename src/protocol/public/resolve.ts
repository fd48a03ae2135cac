import { z } from 'zod';
import { serialError } from '../errors.ts';
import { phase } from './migration.ts';
import { epoch, guestName, hostName, migrationId, shortText } from '../names.ts';
import { name64 } from './hosts/host.ts';
import { siteCheck } from './site-check.ts';

/** What hosts and people say to each other about a migration on which a person must decide. */

/** `elsewhere`: another host has the guest, and the copy at the source is given up. */
export const runAt = z.enum(['source', 'destination', 'elsewhere']);
export type RunAt = z.infer<typeof runAt>;
export const runAtSide = runAt.exclude(['elsewhere']);
export type RunAtSide = z.infer<typeof runAtSide>;

/** What one host knows of its side of a migration: its journal, and its hypervisor asked afresh. */
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
  /** The guest here. `unknown`: its hypervisor lives and was not asked, or gave no answer. */
  hypervisor: z.enum(['none', 'running', 'paused', 'incoming', 'handed-over', 'gone', 'unknown']),
  /** Destination: everything is here. Source: everything was handed over. */
  complete: z.boolean(),
  /** The guest's memory is, or was, split between the hosts. */
  postcopy: z.boolean(),
  /** Source: no commit was sent, or the destination refused it. Earlier builds do not report it. */
  neverRanThere: z.literal(true).optional(),
  /** Destination: it was restarted while armed, and does not know whether the guest ran. */
  unsure: z.boolean(),
  /** Destination: its journal says that the guest has run there, whatever became of it since. Absent: not said. */
  hasRun: z.boolean().optional(),
  /** A mover works on this side now. */
  moverAlive: z.boolean(),
  error: serialError.optional(),
  /** The guest's UUID, where this side knows it. */
  uuid: name64.optional(),
  /** Destination: how the site's check of the guest stands. */
  siteCheck: siteCheck.optional(),
});
export type SideView = z.infer<typeof sideView>;

/** A host that could not be asked about a guest, or could not say. */
export const unasked = z.object({ host: hostName, why: shortText });
export type SilentHost = z.infer<typeof unasked>;

/** A host that may have the guest, and what leaves that open. */
export const hostDoubts = z.object({
  host: hostName,
  doubts: z.array(z.string().max(128)).max(16),
});
export type HostDoubts = z.infer<typeof hostDoubts>;
/** For an operator: what they were shown, and answer for. */
export const answersFor = z.array(hostDoubts).max(1024);

/**
 * `waits`: it does no harm, and nothing comes of it before the other host answers. `unknown`: it would be safe if every
 * host of the fleet had been asked and had nothing of the guest.
 */
export const answer = z.object({
  runAt,
  verdict: z.enum(['safe', 'risky', 'unknown', 'waits', 'wrong']),
  why: shortText,
  /** What may follow if it is the wrong answer. */
  risks: z.array(shortText).max(8),
  /** What it would rest on. */
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
  /** Where its manager says that the guest is, where one moves it; `why`: it said nothing. There is no other side then. */
  manager: z
    .object({
      at: z.enum(['source', 'destination', 'elsewhere', 'unknown']),
      busy: z.boolean().optional(),
      why: shortText.optional(),
    })
    .optional(),
  /** Why the other host could not be asked. */
  unreachable: shortText.optional(),
  /** This host has a fencing hook, which is asked before a person's word is needed. */
  fencing: z.boolean(),
  /** `elsewhere` is there only if it can be followed. */
  answers: z.array(answer).max(3),
  /** Hosts of the fleet that could not be asked about the guest. */
  unasked: z.array(unasked).max(1024).optional(),
  /** Hosts for which an operator who insists has to answer, and what they show. */
  inDoubt: answersFor.optional(),
  /** The safe answer; absent where neither is. */
  safe: runAt.optional(),
});
export type Resolution = z.infer<typeof resolution>;

export const resolveRequest = z.object({
  runAt,
  /** The guest's name, typed by who answers for it. */
  confirm: z.string().max(128),
  /** The other host was made sure of; needed where nothing proves it. */
  iKnow: z.boolean().default(false),
  /** `inDoubt`, as it was shown before: an operator answers for that, and for nothing that has changed since. */
  answersFor: answersFor.optional(),
});
export type ResolveRequest = z.infer<typeof resolveRequest>;

export const resolveAnswer = z.object({
  what: shortText,
  proof: z.enum(['ask', 'observed', 'fenced', 'operator']),
  /** The record could not be read and was set aside: the host no longer knows the migration. */
  setAside: z.boolean().optional(),
});
export type ResolveAnswer = z.infer<typeof resolveAnswer>;
