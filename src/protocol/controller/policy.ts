import { z } from 'zod';
import { bytes, guestName, hostName, ms, shortText } from '../names.ts';
import { requestId } from '../public/order.ts';
import { atMs } from './fleet-request.ts';

/** Aim of a standing policy: enough resources for the guests of each host, or fewer hosts. */
export const policyKind = z.enum(['balance', 'consolidate']);
export type PolicyKind = z.infer<typeof policyKind>;

/**
 * `off`: it looks at nothing. `propose`: it makes proposals, and a person accepts each one. `approve`: whoever accepts one
 * accepts all of its look. `automatic`: it accepts its proposals itself.
 */
const policyMode = z.enum(['off', 'propose', 'approve', 'automatic']);
export type PolicyMode = z.infer<typeof policyMode>;

/** All hosts that no group of the same kind has. */
export const WHOLE_FLEET = 'fleet';
/** The hosts that a policy is for: the fleet, or a group that is called so. */
export const policyScope = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'the name of a group of hosts: up to 63 of a-z, 0-9 and -');

const forMs = z
  .number()
  .int()
  .min(60_000)
  .max(90 * 86_400_000);

/** What a person sets of a policy. */
export const policySettings = z.strictObject({
  mode: policyMode,
  /** The hosts of a group; absent for the fleet. */
  hosts: z.array(hostName).min(1).max(10_000).optional(),
  /** Of balance: 1 (only what cannot stay as it is) to 5 (every gain that is worth its move). */
  level: z.number().int().min(1).max(5).default(3),
  /** Moves of its guests that begin within an hour, whoever asked for them, and their memory, bytes. */
  movesPerHour: z.number().int().min(1).max(10_000).default(60),
  bytesPerHour: bytes.min(1).optional(),
  /** A guest that has moved stays for so long. */
  residenceMs: forMs.default(4 * 3_600_000),
  /** What a person rejected is not proposed again for so long. */
  rejectedMs: forMs.default(86_400_000),
});
export type PolicySettings = z.infer<typeof policySettings>;

/** What a policy saw when it looked last. */
export const policyLook = z.object({
  atMs,
  /** Why it proposes what it does, or nothing. */
  words: shortText,
  /** Moves that it may not or cannot make, and samples that it ignores because they are missing or implausible. */
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

/** What its moves take, or took. */
const moveCost = z.object({
  bytes: z.number().nonnegative(),
  /** s */
  seconds: z.number().nonnegative(),
  downtimeMs: ms,
});
export type ProposalCost = z.infer<typeof moveCost>;

/** One guest’s move of a proposal. */
const proposedMove = z.object({
  guest: guestName,
  from: hostName,
  to: hostName,
  /** Why this guest, and why there. */
  words: shortText,
  cost: moveCost,
  /** Hosts that would do too and are worse, the better one first. */
  alternatives: z.array(hostName).max(2),
});

/** What it brings, by prediction or as it came out. */
export const benefit = z.object({
  /** Processor-seconds within an hour that guests ask for and get, and would not have got. */
  processorSeconds: z.number().optional(),
  /** Power that is needed no more, W; absent where hosts do not say their power. */
  watts: z.number().optional(),
  /** The host that has no guest afterwards. */
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
 * `snoozed`: not shown until a moment. `accepted`: its moves are requests that are worked on. `expired`: later looks do not
 * make it any more. `done`: all of its moves are made. `left`: they have ended, and not all were made.
 */
export const proposalState = z.enum(PROPOSAL_STATES);
export type ProposalState = z.infer<typeof proposalState>;

const proposalReason = z.enum(['overload', 'empty-host', 'contention', 'spread']);

export const MAX_MOVES_OF_A_PROPOSAL = 1000;

/** Moves that belong together: one of them, two guests that change places, or all guests of a host that is emptied. */
export const proposal = z.object({
  id: proposalId,
  kind: policyKind,
  scope: policyScope,
  /** The look that made it; proposals of one look belong together. */
  run: z.string().max(64),
  state: proposalState,
  reason: proposalReason,
  words: shortText,
  moves: z.array(proposedMove).min(1).max(MAX_MOVES_OF_A_PROPOSAL),
  benefit,
  /** Of all its moves. */
  cost: moveCost,
  createdAtMs: atMs,
  /** When a look made it last. */
  confirmedAtMs: atMs,
  /** While it is open: it expires unless a look makes it again before. */
  expiresAtMs: atMs,
  snoozedUntilMs: atMs.optional(),
  decidedBy: z.string().max(256).optional(),
  decidedAtMs: atMs.optional(),
  /** Why it was rejected, or why it expired. */
  why: shortText.optional(),
  /** One for each of its moves, once it is accepted. */
  requests: z.array(requestId).max(MAX_MOVES_OF_A_PROPOSAL),
  endedAtMs: atMs.optional(),
  /** What it came to, once its moves have ended. */
  actual: z
    .object({
      moved: z.number().int().nonnegative(),
      /** s, of all moves together. */
      seconds: z.number().nonnegative(),
      /** Of all moves together; absent where a report of one of them is not there. */
      downtimeMs: ms.optional(),
      bytes: z.number().nonnegative().optional(),
      /** Known once an hour has passed; absent where its hosts were not watched all that time. */
      benefit: benefit.optional(),
    })
    .optional(),
});
export type Proposal = z.infer<typeof proposal>;
