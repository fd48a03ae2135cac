import { godwitError } from '../../../errors.ts';
import { lostTo, readBaseline, shortOf } from '../../../migration/preflight/baseline.ts';
import { pass, refusal, warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import type { ProcessorOffer } from '../../../protocol/public/hosts/processor.ts';
import type { Match } from '../assess.ts';
import type { CpuFacts } from '../spec/facts.ts';

type Cpu = Pick<CpuFacts, 'features'>;

export interface SetBaseline {
  readonly argument: string;
  readonly offers: (signal: AbortSignal) => Promise<readonly ProcessorOffer[]>;
}

const SHOWN = 12;

/** Warns if the guest has more than the baseline. It then cannot move to every host, but it may stay here. */
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

/** Time that a host's answer is kept, ms: its programs rarely change. */
const OFFERS_FOR_MS = 60_000;
const OFFERS_MS = 60_000;

export type Beyond = (guest: {
  readonly accelerator: string;
  readonly cpu?: Cpu | undefined;
}) => string[];

/**
 * The first query of this host's processors takes seconds. A look at guests does not wait for it, so the first
 * look has no result.
 */
export class GuestsBeyond {
  #offers: readonly ProcessorOffer[] | undefined;
  #askedMs = -Infinity;

  of({ argument, offers }: SetBaseline, nowMs = performance.now()): Beyond {
    if (nowMs - this.#askedMs >= OFFERS_FOR_MS) {
      this.#askedMs = nowMs;
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
 * Reason why no guest may come to this host: none of its QEMUs provides the baseline. Undefined if one does, or
 * if the baseline cannot be read, which each check warns about.
 */
export async function belowBaseline(
  { argument, offers }: SetBaseline,
  signal: AbortSignal,
): Promise<string | undefined> {
  const all = await offers(signal);
  const virtual = of(all, 'kvm');
  // Emulation provides almost any feature, so it counts only without an alternative.
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
