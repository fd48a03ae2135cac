import { godwitError } from '../../../errors.ts';
import { lostTo, readBaseline, shortOf } from '../../../migration/preflight/baseline.ts';
import { pass, refusal, warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import type { ProcessorOffer } from '../../../protocol/public/hosts/processor.ts';
import type { Match } from '../assess.ts';
import type { CpuFacts } from '../spec/facts.ts';

type Cpu = Pick<CpuFacts, 'features'>;

/** The configured common processor of all hosts, and the features that this host offers. */
export interface SetBaseline {
  readonly argument: string;
  readonly offers: (signal: AbortSignal) => Promise<readonly ProcessorOffer[]>;
}

/** Features are a long list; the first of them show which. */
const SHOWN = 12;

/** Whether the guest has more than the baseline: then it cannot go to every host, which is no reason to keep it here. */
export async function guestFits(
  baseline: SetBaseline | undefined,
  { accelerator, cpu }: { readonly accelerator: string; readonly cpu?: Cpu | undefined },
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  if (baseline === undefined || cpu === undefined) return [];
  const { argument, offers } = baseline;
  const read = readBaseline(argument, of(await offers(signal), accelerator));
  if (typeof read === 'string') return [unread(read, 'source')];
  const beyond = lostTo(read, cpu);
  if (beyond.length === 0)
    return [pass('baseline', `the guest has no more than ${short(argument)}`)];
  const hint = `A host that gives the baseline alone cannot take it. When it is started next, start it with -cpu ${argument}.`;
  return [warn('baseline', beyondWords(argument, beyond), hint)];
}

/** For so long what a host offers is not asked again, ms: its programs change seldom. */
const OFFERS_FOR_MS = 60_000;
/** For the answer of all of its programs, ms. */
const OFFERS_MS = 60_000;

/** Says in words what each guest of a look has beyond the baseline. */
export type Beyond = (guest: {
  readonly accelerator: string;
  readonly cpu?: Cpu | undefined;
}) => string[];

/** To find out what this host offers takes seconds at first: no look at its guests waits for that, and the first one knows nothing of it. */
export class GuestsBeyond {
  #offers: readonly ProcessorOffer[] | undefined;
  #askedMs = -Infinity;

  of({ argument, offers }: SetBaseline, nowMs = performance.now()): Beyond {
    if (nowMs - this.#askedMs >= OFFERS_FOR_MS) {
      this.#askedMs = nowMs;
      // Where nobody can say it, the check of each migration does.
      offers(AbortSignal.timeout(OFFERS_MS)).then(
        (found) => (this.#offers = found),
        () => undefined,
      );
    }
    const known = this.#offers;
    return ({ accelerator, cpu }) => {
      if (known === undefined || cpu === undefined) return [];
      const read = readBaseline(argument, of(known, accelerator));
      const beyond = typeof read === 'string' ? [] : lostTo(read, cpu);
      return beyond.length === 0 ? [] : [beyondWords(argument, beyond)];
    };
  }
}

const beyondWords = (argument: string, beyond: readonly string[]): string =>
  `the guest has more than ${short(argument)}: ${listed(beyond)}`;

/** Whether the program that would run the guest here gives the baseline. */
export async function hostGives(
  baseline: SetBaseline | undefined,
  { program, spec }: Pick<Match, 'program'> & { readonly spec: Pick<Match['spec'], 'accelerator'> },
  host: string,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  if (baseline === undefined || program === undefined) return [];
  const { argument, offers } = baseline;
  const own = of(await offers(signal), spec.accelerator.name);
  const read = readBaseline(argument, own);
  if (typeof read === 'string') return [unread(read, 'destination')];
  const offer = own.find((each) => each.version === program.version);
  const lacks =
    offer === undefined ? ['QEMU does not report what it offers'] : shortOf(read, offer);
  if (lacks.length === 0)
    return [pass('baseline', `${host} gives ${short(argument)}`, 'destination')];
  const facts = { host, baseline: short(argument), reason: lacks.join('; ') };
  return [refusal('baseline', godwitError('GODWIT_BASELINE', facts), 'destination')];
}

/**
 * Why no guest may come to this host, whichever it is: of the QEMUs that would run guests here none gives the baseline.
 * Undefined where one does, and where the baseline cannot be read, which each check warns of.
 */
export async function belowBaseline(
  { argument, offers }: SetBaseline,
  signal: AbortSignal,
): Promise<string | undefined> {
  const all = await offers(signal);
  const virtual = of(all, 'kvm');
  // Emulation gives almost any feature: it counts where there is nothing else.
  const own = virtual.length > 0 ? virtual : all;
  const read = readBaseline(argument, own);
  if (typeof read === 'string' || own.length === 0) return undefined;
  const lacks = own.map((offer) => shortOf(read, offer));
  if (lacks.some((each) => each.length === 0)) return undefined;
  return `it gives less than the baseline ${short(argument)}: ${lacks[0]?.join('; ') ?? ''}`;
}

const of = (offers: readonly ProcessorOffer[], accelerator: string): ProcessorOffer[] =>
  offers.filter((offer) => offer.accelerator === accelerator);

function unread(what: string, side: 'source' | 'destination'): NamedCheck {
  const hint = 'Set drivers.qemu.baseline to a line of `godwit advise cpu`.';
  return warn('baseline', `the baseline of the configuration cannot be read: ${what}`, hint, side);
}

const short = (argument: string): string =>
  argument.length <= 80 ? argument : `${argument.slice(0, 79)}…`;

function listed(features: readonly string[]): string {
  const shown = features.slice(0, SHOWN).join(', ');
  return features.length > SHOWN ? `${shown} and ${features.length - SHOWN} more` : shown;
}
