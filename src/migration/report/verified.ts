import type { SerialError } from '../../errors.ts';
import type { Check, Report } from '../../protocol/public/migration.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import { passes, warns, type Finding } from '../preflight/finding.ts';
import type { ClockDifference } from './probes.ts';

/** Checks from outside the hypervisor, once the guest runs at its destination. Pure. */

/** Each look in report order, with its question. */
export const LOOKS = {
  copies: 'has the source’s hypervisor ended, and does the destination’s run the guest?',
  disks: 'may exactly one hypervisor write to each of its disks?',
  devices: 'has the machine the devices that it had before, with the same properties?',
  plugged: 'has it the destination’s own devices that it was to get?',
  segment: 'does the guest answer in its segment for its addresses, and its gateway?',
  reached: 'do other hosts reach the guest?',
  connections: 'do the connections that were handed over carry packets?',
  'guest-clock': 'does the guest’s clock go on, and is it no further off than before?',
} as const;
export type LookName = keyof typeof LOOKS;
const LOOK_NAMES = Object.keys(LOOKS) as LookName[];

export type VerificationCheck = Check & { readonly name: LookName };

/** Maximum length, characters (protocol/public/migration.ts allows 4,096). */
const MAX_WORDS = 2048;

export function looked(name: LookName, side: Check['side'], finding: Finding): VerificationCheck {
  const { evidence, hint } = finding;
  const cut = hint === undefined ? {} : { hint: hint.slice(0, MAX_WORDS) };
  return { name, side, ...finding, evidence: evidence.slice(0, MAX_WORDS), ...cut };
}

export function notLooked(name: LookName, side: Check['side'], why: string): VerificationCheck {
  return { name, side, notTried: true, ...passes(`not tried: ${why}`.slice(0, MAX_WORDS)) };
}

/** Report order; unknown names come last. */
export function inOrder(all: readonly Check[]): Check[] {
  const place = ({ name }: Check): number => {
    const at = LOOK_NAMES.findIndex((each) => each === name);
    return at === -1 ? LOOK_NAMES.length : at;
  };
  return all.toSorted((one, other) => place(one) - place(other));
}

const SPLIT_HINT =
  'Two hypervisors that write to one disk destroy it: end the one that is not the guest’s, and check its file systems.';

/** At the destination. `writers`: per file, hypervisors of this host that may write to it. */
export function judgeWriters(
  host: string,
  files: readonly string[],
  writers: readonly (readonly string[])[],
): Finding {
  const fine = `at ${host} one hypervisor alone may write to ${files.join(', ')}`;
  return judgeEach({ host, files, writers, fine }, (file, by) => {
    if (by.length === 1) return undefined;
    return by.length === 0 ? `nobody has ${file} open` : `${by.join(' and ')} write to ${file}`;
  });
}

/** At the source, whose hypervisor has ended. */
export function judgeLeftWriters(
  host: string,
  files: readonly string[],
  writers: readonly (readonly string[])[],
): Finding {
  const fine = `at ${host} no hypervisor may write to ${files.join(', ')} any more`;
  return judgeEach({ host, files, writers, fine }, (file, by) =>
    by.length === 0 ? undefined : `${by.join(' and ')} may still write to ${file}`,
  );
}

interface Writers {
  readonly host: string;
  readonly files: readonly string[];
  readonly writers: readonly (readonly string[])[];
  readonly fine: string;
}

function judgeEach(
  { host, files, writers, fine }: Writers,
  whatIsWrong: (file: string, by: readonly string[]) => string | undefined,
): Finding {
  const wrong = files.flatMap((file, index) => whatIsWrong(file, writers[index] ?? []) ?? []);
  return wrong.length > 0 ? warns(`at ${host} ${wrong.join('; ')}`, SPLIT_HINT) : passes(fine);
}

export interface HandedOver {
  /** Connections established at the handover. */
  readonly count: number;
  readonly established: number;
  /** Connections with a packet since. */
  readonly carried: number;
  readonly reset: number;
}

export function judgeHandedOver(host: string, found: HandedOver): Finding | string {
  const { count, established, carried, reset } = found;
  if (count === 0) return 'no established TCP connection of the guest was handed over';
  const words = `of ${count} TCP connections ${established} are established at ${host}, and ${carried} have carried packets since`;
  if (reset === count)
    return warns(
      `each of the ${count} TCP connections was reset`,
      'Look whether a firewall on the way knows the guest at its new host.',
    );
  return carried > 0 ? passes(words) : `${words}; an idle one shows nothing`;
}

/** Tolerance for a clock beyond the guest's pause, ms: timers and late answers. */
const CLOCK_SLACK_MS = 250;
/** Offset that a guest's time service corrects without a step, ms. */
const CLOCK_FAR_MS = 1000;
const CLOCK_HINT =
  'Have the guest’s time service step its clock (`chronyc makestep`), and look which clock source the guest uses.';

export interface GuestClock {
  readonly before: ClockDifference;
  readonly after: readonly [ClockDifference, ClockDifference];
  /** Time between these, ms. */
  readonly betweenMs: number;
  /** Pause of the guest, ms; 0 if unknown. */
  readonly stoodStillMs: number;
}

/** The same host's clock is used before and after, so no other clock matters. */
export function judgeGuestClock(clock: GuestClock): Finding {
  const { before, after, betweenMs, stoodStillMs } = clock;
  const [first, second] = after;
  const doubtMs = (before.tookMs + second.tookMs) / 2;
  const drift = Math.abs(second.aheadMs - first.aheadMs);
  if (betweenMs > 0 && drift > betweenMs / 2 + (first.tookMs + second.tookMs) / 2)
    return warns(
      `its clock does not go as time does: ${formatDuration(drift)} off within ${formatDuration(betweenMs)}`,
      CLOCK_HINT,
    );
  const behindMs = Math.round(before.aheadMs - second.aheadMs);
  const off = Math.abs(behindMs);
  const way = behindMs >= 0 ? 'behind' : 'ahead of';
  const words = `its clock is ${formatDuration(off)} ${way} where it was before, known to ${formatDuration(doubtMs)}`;
  if (off > CLOCK_FAR_MS + doubtMs) return warns(words, CLOCK_HINT);
  const isBlackout = off <= stoodStillMs + CLOCK_SLACK_MS + doubtMs;
  return passes(isBlackout ? words : `${words}; its time service has to make up for it`);
}

export function judgeReached(vantages: Report['vantages'] = []): Finding | string {
  const seen = vantages.filter(({ gapMs }) => gapMs !== undefined);
  if (seen.length === 0)
    return vantages.length === 0
      ? 'no other host was asked to'
      : vantages.map(({ host, notTried = 'no reason' }) => `${host}: ${notTried}`).join('; ');
  const silent = seen.filter(({ isOpen }) => isOpen === true).map(({ host }) => host);
  if (silent.length > 0)
    return warns(
      `it does not answer ${silent.join(', ')} any more`,
      'Look whether the switches have learnt where it is: `godwit report` has the gap of each host.',
    );
  const words = seen.map(({ host, kind, address }) => `${host} (${kind} to ${address})`);
  return passes(`it answers ${words.join(', ')}`);
}

/** Per device that the guest should get: undefined if it has it, else the reason. */
export function judgePlugged(
  host: string,
  devices: readonly { readonly name: string; readonly error?: SerialError }[],
): Finding {
  const lacking = devices.flatMap(({ error }) => error ?? []);
  const [first] = lacking;
  if (first === undefined)
    return passes(`${devices.map(({ name }) => name).join(', ')} of ${host} plugged in`);
  return warns(lacking.map(({ message }) => message).join('; '), first.hint);
}
