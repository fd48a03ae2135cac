import { z } from 'zod';
import { bytes, guestName, hostName, ms, shortText } from '../names.ts';
import { requestId } from '../public/order.ts';
import { atMs } from './fleet-request.ts';

/** Aim of a standing policy: enough resources for the guests of each host, or fewer hosts. */
export const policyKind = z.enum(['balance', 'consolidate']);
export type PolicyKind = z.infer<typeof policyKind>;

/**
 * `off`: no looks. `propose`: a person accepts each proposal. `approve`: accepting one accepts all of its look.
 * `automatic`: it accepts its proposals itself.
 */
const policyMode = z.enum(['off', 'propose', 'approve', 'automatic']);
export type PolicyMode = z.infer<typeof policyMode>;

/** All hosts outside of groups of the same kind. */
export const WHOLE_FLEET = 'fleet';
export const policyScope = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'the name of a group of hosts: up to 63 of a-z, 0-9 and -');

const forMs = z
  .number()
  .int()
  .min(60_000)
  .max(90 * 86_400_000);

export const policySettings = z.strictObject({
  mode: policyMode,
  /** Hosts of a group; absent for the fleet. */
  hosts: z.array(hostName).min(1).max(10_000).optional(),
  /** Balance: 1 (only unacceptable states) to 5 (every gain worth its move). */
  level: z.number().int().min(1).max(5).default(3),
  /** Hourly limits of its guests' moves by anyone: number and bytes of memory. */
  movesPerHour: z.number().int().min(1).max(10_000).default(60),
  bytesPerHour: bytes.min(1).optional(),
  /** A moved guest stays for this time. */
  residenceMs: forMs.default(4 * 3_600_000),
  /** A rejected proposal is not repeated for this time. */
  rejectedMs: forMs.default(86_400_000),
});
export type PolicySettings = z.infer<typeof policySettings>;

export const policyLook = z.object({
  atMs,
  words: shortText,
  /** Forbidden or impossible moves, and ignored samples. */
  refusals: z.array(shortText).max(100),
});
export type PolicyLook = z.infer<typeof policyLook>;

export const policy = policySettings.extend({
  kind: policyKind,
  scope: policyScope,
  setBy: z.string().max(256),
  setAtMs: atMs,
  look: policyLook.optional(),
});
export type Policy = z.infer<typeof policy>;

export const proposalId = z.string().regex(/^p-[0-9a-z]{8,32}$/, 'a proposal’s id: p-...');

const moveCost = z.object({
  bytes: z.number().nonnegative(),
  /** s */
  seconds: z.number().nonnegative(),
  downtimeMs: ms,
});
export type ProposalCost = z.infer<typeof moveCost>;

const proposedMove = z.object({
  guest: guestName,
  from: hostName,
  to: hostName,
  words: shortText,
  cost: moveCost,
  alternatives: z.array(hostName).max(2),
});

export const benefit = z.object({
  /** Processor-seconds per hour that guests get additionally. */
  processorSeconds: z.number().optional(),
  /** Saved power, W; absent if hosts report none. */
  watts: z.number().optional(),
  emptied: hostName.optional(),
});
export type Benefit = z.infer<typeof benefit>;

const PROPOSAL_STATES = [
  'open',
  'snoozed',
  'accepted',
  'rejected',
  'expired',
  'done',
  'left',
] as const;
/**
 * `snoozed`: hidden until a moment. `accepted`: its moves are requests in work. `expired`: later looks no longer make
 * it. `done`: all moves succeeded. `left`: they have ended, not all successfully.
 */
export const proposalState = z.enum(PROPOSAL_STATES);
export type ProposalState = z.infer<typeof proposalState>;

const proposalReason = z.enum(['overload', 'empty-host', 'contention', 'spread']);

export const MAX_MOVES_OF_A_PROPOSAL = 1000;

export const proposal = z.object({
  id: proposalId,
  kind: policyKind,
  scope: policyScope,
  run: z.string().max(64),
  state: proposalState,
  reason: proposalReason,
  words: shortText,
  moves: z.array(proposedMove).min(1).max(MAX_MOVES_OF_A_PROPOSAL),
  benefit,
  cost: moveCost,
  createdAtMs: atMs,
  /** Last look that made it. */
  confirmedAtMs: atMs,
  /** While open: it expires then unless a look makes it again. */
  expiresAtMs: atMs,
  snoozedUntilMs: atMs.optional(),
  decidedBy: z.string().max(256).optional(),
  decidedAtMs: atMs.optional(),
  why: shortText.optional(),
  requests: z.array(requestId).max(MAX_MOVES_OF_A_PROPOSAL),
  endedAtMs: atMs.optional(),
  actual: z
    .object({
      moved: z.number().int().nonnegative(),
      /** s, sum of the moves. */
      seconds: z.number().nonnegative(),
      /** Sum of the moves; absent if a report is missing. */
      downtimeMs: ms.optional(),
      bytes: z.number().nonnegative().optional(),
      /** Known after an hour; absent if its hosts were not watched all that time. */
      benefit: benefit.optional(),
    })
    .optional(),
});
export type Proposal = z.infer<typeof proposal>;
