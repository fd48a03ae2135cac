import { z } from 'zod';
import { guestName, hostName, migrationId, shortText } from '../protocol/names.ts';
import { mode } from '../protocol/public/migration.ts';
import { siteCheckName } from '../protocol/public/site-check.ts';
import { nicNetwork } from '../protocol/network.ts';

/** The site's hooks: when and on which side they run, their deadline, and the effect of a failure. */
export const HOOKS = {
  notice: {
    side: 'source',
    // Runs for the requested notice.
    deadlineMs: 3_600_000,
    failure: 'is logged',
    when: 'a migration with a notice is about to begin, and nothing has been touched',
  },
  'before-start': {
    side: 'source',
    deadlineMs: 8000,
    failure: 'refuses',
    when: 'every check has passed, and nothing has been built',
  },
  'prepare-destination': {
    side: 'destination',
    deadlineMs: 30_000,
    failure: 'rolls back',
    when: 'the guest’s ports are there and silent, and its hypervisor is about to be started',
  },
  'before-switchover': {
    side: 'source',
    deadlineMs: 8000,
    failure: 'rolls back',
    when: 'both sides are armed and memory is about to move: the last moment before the guest may stop at any time',
  },
  'after-resume': {
    side: 'destination',
    deadlineMs: 30_000,
    failure: 'is logged',
    when: 'the guest runs at the destination',
  },
  'after-rollback': {
    side: 'source',
    deadlineMs: 30_000,
    failure: 'is logged',
    when: 'the migration has ended without moving the guest, which runs on at the source',
  },
  'after-done': {
    side: 'source',
    deadlineMs: 30_000,
    failure: 'is logged',
    when: 'the guest has left, and nothing is left of it at the source',
  },
} as const satisfies Record<string, Hook>;

export interface Hook {
  readonly side: 'source' | 'destination';
  /** Less than its step may take, ms. */
  readonly deadlineMs: number;
  readonly failure: 'refuses' | 'rolls back' | 'is logged';
  readonly when: string;
}

export type HookName = keyof typeof HOOKS;
export const HOOK_NAMES = Object.keys(HOOKS) as HookName[];

/** A hook's standard input: one JSON object. Later versions only add fields. */
export const hookInput = z.object({
  version: z.literal(1),
  /** The check's name; `check-...` for a site check. */
  hook: z.union([z.enum(HOOK_NAMES), siteCheckName]),
  migration: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  host: hostName,
  mode,
  /** The guest's NICs as attached at the source. */
  networks: z.array(nicNetwork).max(64),
  /** Port on this host by NIC id; empty before ports exist. */
  ports: z.record(z.string().max(128), z.string().max(15)),
  /** A rehearsal: the migration is undone at its switch. */
  rehearsal: z.literal(true).optional(),
  /** notice: how long the migration waits for an answer, ms. */
  noticeMs: z.number().int().nonnegative().optional(),
  /** after-rollback: the reason. */
  error: z.object({ code: z.string().max(64), message: shortText }).optional(),
});
export type HookInput = z.infer<typeof hookInput>;
export type HookFacts = Omit<HookInput, 'version' | 'hook' | 'host'>;
