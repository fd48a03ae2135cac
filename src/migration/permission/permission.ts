import { godwitError } from '../../errors.ts';
import type { BootTime } from '../boot-time.ts';
import { sourceMayRunOn, type DestinationRight, type SourceRight } from '../direct/run-right.ts';
import type { HostAnswer } from './host-answer.ts';

/**
 * Validity of a proof that a host is off, or of an operator's answer, ms. The host may be switched on afterwards, so
 * a later start must ask again.
 */
export const MAX_PROOF_AGE_MS = 60_000;

/** Set by the class, so that no other module can call its constructor. */
let make: (guest: string, ground: string) => StartPermission;

/**
 * Permission to start a guest. No driver starts or resumes a guest without one, and only `judgeStart` makes one. It
 * weighs this host's readable journal, its current boot, and the answers of every host that may hold a copy.
 *
 * If this host has not rebooted since it took the guest over, it was never off, and no other host can have recovered
 * the guest. Only the other side of the migration may then hold a copy. After a reboot of this host, or of the source
 * whose commit it follows, any host of the fleet may hold one. Each must answer, be proved off, or be named by the
 * operator.
 */
export class StartPermission {
  readonly #guest: string;
  readonly ground: string;

  private constructor(guest: string, ground: string) {
    this.#guest = guest;
    this.ground = ground;
  }

  static {
    make = (guest, ground) => new StartPermission(guest, ground);
  }

  /** GODWIT_INTERNAL if it was given for another guest. */
  mustCover(guest: string): void {
    if (guest === this.#guest) return;
    throw godwitError('GODWIT_INTERNAL', {
      what: `${guest} was to be started with the permission of ${this.#guest}`,
    });
  }
}

/**
 * This host's right to the guest according to its journal. `bootId`: the host's boot when the right was last known to
 * hold.
 */
export type Claim =
  /**
   * The source takes its guest back. `handedOver`: everything was sent. `byProof`: the epoch was closed without the
   * destination's refusal.
   */
  | {
      readonly kind: 'take-back';
      readonly right: SourceRight;
      readonly handedOver: boolean;
      readonly byProof: boolean;
      readonly bootId: string | undefined;
    }
  /** The source restarts a guest whose copy at the destination ran and was lost. */
  | { readonly kind: 'restart'; readonly bootId: string | undefined }
  /**
   * The destination runs the guest. `byProof`: without the source's commit. `mayBeRecovered`: the source rebooted
   * since, or an operator resolved the migration.
   */
  | {
      readonly kind: 'arrival';
      readonly right: DestinationRight;
      readonly byProof: boolean;
      readonly mayBeRecovered: boolean;
      readonly bootId: string | undefined;
    }
  /** A standby starts the guest of a dead host and has no earlier right to it. */
  | { readonly kind: 'recovery' };

export interface StartQuestion {
  readonly guest: string;
  /** Current time by this host's clock. */
  readonly now: BootTime;
  readonly claim: Claim;
  /** The other side of the migration, or the dead host of a recovery. */
  readonly counterpart: string;
  readonly fleet: readonly string[];
  readonly answers: ReadonlyMap<string, HostAnswer>;
}

export type StartVerdict =
  | { readonly kind: 'granted'; readonly permission: StartPermission }
  | { readonly kind: 'elsewhere'; readonly host: string; readonly why: string }
  /** Not proven safe. `host`: the first unproved host; absent: this host's journal is the cause. */
  | { readonly kind: 'unproved'; readonly host?: string; readonly why: string };

/** Hosts that may hold a copy; each must answer before the guest starts here. */
export function hostsInDoubt({
  claim,
  now,
  counterpart,
  fleet,
}: Pick<StartQuestion, 'claim' | 'now' | 'counterpart' | 'fleet'>): readonly string[] {
  const isSameBoot = claim.kind !== 'recovery' && claim.bootId === now.bootId;
  const mayBeRecovered = claim.kind === 'arrival' && claim.mayBeRecovered;
  if (isSameBoot && !mayBeRecovered) return isCounterpartInDoubt(claim) ? [counterpart] : [];
  // Includes the source that sent its commit: it may have restarted the guest on a proof that this host was off.
  return [counterpart, ...fleet.filter((host) => host !== counterpart)];
}

/** True if the other side may hold a copy, for a host that has not rebooted since. */
function isCounterpartInDoubt(claim: Exclude<Claim, { kind: 'recovery' }>): boolean {
  switch (claim.kind) {
    case 'take-back':
      return claim.byProof || claim.handedOver || !sourceMayRunOn(claim.right);
    case 'restart':
      return true;
    case 'arrival':
      return claim.byProof;
  }
}

/** The only maker of a `StartPermission`. */
export function judgeStart(question: StartQuestion): StartVerdict {
  const { claim, guest, now, answers } = question;
  for (const [host, answer] of answers) {
    if (answer.is === 'has') return { kind: 'elsewhere', host, why: answer.why };
  }
  const own = whyNoRight(claim);
  if (own !== undefined) return { kind: 'unproved', why: own };
  const doubtful = hostsInDoubt(question);
  for (const host of doubtful) {
    const why = whyDoubtful(answers.get(host), now);
    if (why !== undefined) return { kind: 'unproved', host, why: `${host} ${why}` };
  }
  const ground =
    doubtful.length === 0
      ? `the right to run has been here since boot ${now.bootId}`
      : `heard of ${doubtful.length} hosts`;
  return { kind: 'granted', permission: make(guest, ground) };
}

function whyNoRight(claim: Claim): string | undefined {
  if (claim.kind === 'take-back' && claim.right === 'passed') {
    return 'the destination has had the right to run';
  }
  if (claim.kind === 'arrival' && claim.right !== 'running') {
    return `the right to run was not passed on to it: it is ${claim.right}`;
  }
  return undefined;
}

function whyDoubtful(answer: HostAnswer | undefined, now: BootTime): string | undefined {
  switch (answer?.is) {
    case undefined:
      return 'was not asked';
    case 'without':
    case 'has':
      return undefined;
    case 'off':
    case 'named':
      return whyVoid(answer.at, now);
    case 'may-have':
      return answer.why;
    case 'silent':
      return `could have it, and does not answer: ${answer.why}`;
  }
}

export const isProofValid = (at: BootTime | undefined, now: BootTime): boolean =>
  whyVoid(at, now) === undefined;

/** A host may have returned and acted since it was proved off. */
function whyVoid(at: BootTime | undefined, now: BootTime): string | undefined {
  if (at === undefined) return 'was proved off, and when is not known';
  if (at.bootId !== now.bootId) return 'was proved off before this host was restarted';
  const ageMs = now.uptimeMs - at.uptimeMs;
  if (ageMs >= 0 && ageMs <= MAX_PROOF_AGE_MS) return undefined;
  return 'was proved off too long ago, and may be on again';
}
