import { z } from 'zod';
import { MAX_AUTHORITIES } from '../names.ts';

/**
 * When a certificate is renewed, and who may. A host renews its own with a new key each time; the CA gives a new one only
 * to whoever shows the last one that it gave to that name. So a certificate that was stolen earlier gets no other one,
 * and where the thief is first, the host itself is refused and says so.
 */

/** Clocks of hosts differ a little: a certificate is valid from this long before it was made. */
export const SKEW_MS = 10 * 60_000;
const DAY_MS = 86_400_000;
/** What is valid for longer was made for a fleet in which nothing renewed it. */
const LONG_MS = 90 * DAY_MS;
/** So that the hosts of a fleet that was upgraded do not ask all at once. */
const LONG_SPREAD_MS = 10 * 60_000;
const FIRST_PAUSE_MS = 60_000;
/** The CA is back for no longer than this before it is asked. */
const LONGEST_PAUSE_MS = 6 * 3_600_000;
const MIN_PAUSE_MS = 1000;
/** Of what is left, so that the end never comes before the next try. */
const PAUSE_OF_LEFT = 1 / 16;

/** The time for which a certificate is valid, ms since 1970. */
export interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

/** For how long it was made, ms. */
export function lifetimeMs({ fromMs, toMs }: Validity): number {
  return Math.max(1000, toMs - fromMs - SKEW_MS);
}

/**
 * When a host asks for a new certificate, wall ms: with a third of its life left, or somewhat more. One of a long life
 * is shown to the CA soon after `startedMs` too, once: the CA says whether it gives shorter ones now.
 * `jitter` is from 0 to 1 and the host's own.
 */
export function renewalDueMs(
  life: Validity,
  { jitter, startedMs, asked }: { jitter: number; startedMs: number; asked: boolean },
): number {
  const lifetime = lifetimeMs(life);
  const regular = life.toMs - lifetime / 3 - (jitter * lifetime) / 24;
  if (asked || lifetime <= LONG_MS) return regular;
  return Math.min(regular, startedMs + jitter * LONG_SPREAD_MS);
}

/** How long to wait after so many failures in a row, with `leftMs` until the certificate ends. */
export function retryPauseMs(failures: number, leftMs: number): number {
  const doubled = FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 16);
  const most = leftMs > 0 ? leftMs * PAUSE_OF_LEFT : FIRST_PAUSE_MS;
  return Math.max(MIN_PAUSE_MS, Math.min(doubled, LONGEST_PAUSE_MS, most));
}

/** What the CA keeps of the last certificate that it gave to a name. */
export const issuedRecord = z.object({
  serial: z.string(),
  /** When it was given, ISO 8601. */
  at: z.string(),
  /** It is valid from then on, ms. */
  fromMs: z.number(),
  /** For how long it was made; the next one is for as long. */
  days: z.number().positive(),
  /** Fingerprint of the CA that signed it; absent in records of an earlier build. */
  issuer: z.string().max(64).optional(),
  /** Fingerprints of the CAs that its holder trusts, as far as the holder was given or reported them. */
  trusts: z.array(z.string().max(64)).max(MAX_AUTHORITIES).optional(),
  /** Of a renewal: the certificate that was shown, the key that was to be signed (SHA-256), and what was answered. */
  renewal: z
    .object({ shown: z.string(), key: z.string(), certificate: z.string().max(16_384) })
    .optional(),
});
export type IssuedRecord = z.infer<typeof issuedRecord>;

export interface RenewalAsked extends Validity {
  /** Of the certificate that is shown. */
  readonly serial: string;
  /** SHA-256 of the key that is to be signed. */
  readonly key: string;
  /** The last one was revoked: what it was renewed from is the last that counts. */
  readonly ended?: boolean;
  /** Another CA issues now: a rotation, in which every certificate is renewed early. */
  readonly otherCa?: boolean;
}

/**
 * What the CA does. `again`: its answer was lost, and whoever asks has the same new key: the same answer.
 * `keep`: less than half of its life is over, and the CA of it still issues. `superseded`: the CA has given another one to that name since.
 * Where the last one was revoked, the one from which it was renewed is renewed again, for whoever shows it first: that
 * ends a copy of the last one, and no thief who has the key of the one before. Only revoking the name does.
 * A certificate later than the last that the CA knows of is one that it gave before it was restored from a backup.
 */
export function judgeRenewal(
  last: IssuedRecord | undefined,
  asked: RenewalAsked,
  nowMs: number,
): 'issue' | 'again' | 'keep' | 'superseded' {
  if (last === undefined) return 'issue';
  if (asked.serial === last.serial) {
    if (asked.otherCa === true) return 'issue';
    return nowMs < asked.toMs - lifetimeMs(asked) / 2 ? 'keep' : 'issue';
  }
  const { renewal } = last;
  if (renewal?.shown === asked.serial) {
    if (asked.ended === true) return 'issue';
    if (renewal.key === asked.key) return 'again';
  }
  return asked.fromMs > last.fromMs ? 'issue' : 'superseded';
}
