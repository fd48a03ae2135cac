import type { Clock } from '../../../../clock.ts';
import { hasCode, toGodwitError } from '../../../../errors.ts';
import type { StepFacts } from '../../../../migration/direct/source/step-facts.ts';
import { endWords, haltWords } from '../../../../migration/guest-changes/run-states.ts';
import { passes, warns, type Finding } from '../../../../migration/preflight/finding.ts';
import {
  inOrder,
  judgeLeftWriters,
  judgeReached,
  looked,
  notLooked,
  type VerificationCheck,
} from '../../../../migration/report/verified.ts';
import type { askGuestClock } from '../../../../network/clock/guest-clock.ts';
import type { VerifyAnswer } from '../../../../protocol/peer/verify.ts';
import type { Check, Report } from '../../../../protocol/public/migration.ts';
import {
  clockAddressOf,
  GuestClockLook,
  NOT_KNOWN_BEFORE,
} from '../../../shared/guest-clock-look.ts';
import { ask, type MoverParts } from '../source-base.ts';
import type { GuestChanges, sameMachine } from '../guest/guest-changes.ts';
import type { SourceProbes } from './probes.ts';

/** Limit for the destination's looks, which take up to 6 s, ms. */
const ANSWER_MS = 8000;
const PLUG_MS = 7000;
const BEFORE = NOT_KNOWN_BEFORE;

const LOOKED_AT_THERE = ['disks', 'plugged', 'segment', 'connections'] as const;
/** A peer only reports on its own host, with these looks. */
const isLookThere = ({ name, side, error }: Check): boolean =>
  side === 'destination' && error === undefined && LOOKED_AT_THERE.some((each) => each === name);
const DIFFERS_HINT =
  'Look at both values in the evidence: the guest may see another device than before.';
const LEFT_HINT =
  'It does not run the guest any more. End that process, after a look at what keeps it: storage that does not answer, or a debugger.';

type Compare = ReturnType<typeof sameMachine>;
type Dependencies = Pick<MoverParts, 'config' | 'request' | 'state' | 'guest' | 'peer'> & {
  readonly probes: Pick<SourceProbes, 'stoodStillMs'>;
  readonly changes: Pick<GuestChanges, 'checks'>;
};

/**
 * External checks of the guest, before and after, by this host and the destination. They run in the background, and
 * cannot fail a migration whose guest runs.
 */
export class SourceVerification {
  readonly #deps: Dependencies;
  readonly #clock: GuestClockLook;
  #compare: Compare | undefined;
  #there: Promise<VerifyAnswer | string> | undefined;
  #clockAfter: Promise<VerificationCheck> | undefined;

  constructor(deps: Dependencies, clock: Clock, askClock?: typeof askGuestClock) {
    this.#deps = deps;
    this.#clock = new GuestClockLook(clock, askClock);
  }

  /** Reads the machine and the guest's clock while the destination is made. */
  before(compare: Compare): void {
    this.#compare = compare;
    void this.#clock.before(addressOf(this.#deps), () => this.#deps.state().stopped);
  }

  /** The guest runs at its destination with all memory. */
  begin(): void {
    this.#there ??= this.#askThere();
    this.#clockAfter ??= this.#guestClock();
  }

  async #askThere(): Promise<VerifyAnswer | string> {
    const body = { epoch: this.#deps.state().plan.epoch };
    const deadlineMs =
      ANSWER_MS + (this.#deps.state().plan.settings.plug === undefined ? 0 : PLUG_MS);
    const signal = AbortSignal.timeout(deadlineMs);
    try {
      const options = { signal, deadlineMs };
      return await ask(this.#deps, signal, (api) => api.verify({ body }, options));
    } catch (thrown) {
      if (hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN'))
        return `${this.#deps.state().plan.to} is of a build that does not look`;
      return toGodwitError(thrown).message;
    }
  }

  /** All checks, once the source's hypervisor has ended. Never rejects. */
  async results(vantages: Report['vantages']): Promise<Check[]> {
    this.begin();
    const there = (await this.#there) ?? BEFORE;
    const both = await Promise.all([
      this.#disksHere(),
      this.#devices(there, this.#deps.changes.checks()),
      this.#clockAfter,
    ]);
    const seenThere = typeof there === 'string' ? [] : there.checks.filter(isLookThere);
    const why =
      typeof there === 'string' ? there : `${this.#deps.state().plan.to} did not report it`;
    const isAsked = (name: string) =>
      name !== 'plugged' || this.#deps.state().plan.settings.plug !== undefined;
    const isSeen = (name: string) => seenThere.some((look) => look.name === name);
    const lacking = LOOKED_AT_THERE.filter((name) => isAsked(name) && !isSeen(name));
    const checks = [...seenThere, ...lacking.map((name) => notLooked(name, 'destination', why))];
    const reached = judgeReached(vantages);
    const other =
      typeof reached === 'string'
        ? notLooked('reached', 'both', reached)
        : looked('reached', 'both', reached);
    const { plan, known } = this.#deps.state();
    const { from, to } = plan;
    const since = sinceWords(known);
    const ended = passes(`its hypervisor at ${from} has ended, and the one at ${to} ${since}`);
    const [disks, devices, clock] = both;
    const own = [...disks, ...devices, ...(clock === undefined ? [] : [clock])];
    const copies = await this.#copies(ended);
    return inOrder([copies, ...checks, ...own, other]).slice(0, 128);
  }

  /** `ended`: finding if the source's hypervisor has ended, which only the kernel proves. */
  async #copies(ended: Finding): Promise<VerificationCheck> {
    const { state, guest } = this.#deps;
    const { from } = state().plan;
    try {
      const { life, what } = await guest.life();
      if (life.state === 'gone') return looked('copies', 'both', ended);
      if (life.state === 'unknown')
        return notLooked('copies', 'both', `whether ${what} at ${from} has ended: ${life.reason}`);
      const evidence = `its hypervisor at ${from} has not ended (${what})`;
      return looked('copies', 'both', warns(evidence, LEFT_HINT));
    } catch (thrown) {
      return notLooked('copies', 'both', toGodwitError(thrown).message);
    }
  }

  async #disksHere(): Promise<VerificationCheck[]> {
    const { description } = this.#deps.state().known;
    const nodes = (description?.disks ?? []).flatMap(({ images: [top] }) =>
      top === undefined || top.readOnly ? [] : [top.node],
    );
    if (nodes.length === 0) return [];
    const signal = AbortSignal.timeout(ANSWER_MS);
    try {
      const { files = {} } = await this.#deps.guest.inspect(signal);
      const paths = nodes.flatMap((node) => files[node] ?? []).filter((file) => file[0] === '/');
      const writers = await this.#deps.guest.diskWriters(paths, signal);
      if (writers === undefined || paths.length === 0) return [];
      return [looked('disks', 'source', judgeLeftWriters(this.#deps.config.name, paths, writers))];
    } catch (thrown) {
      return [notLooked('disks', 'source', toGodwitError(thrown).message)];
    }
  }

  /** `changed`: since the source's machine was read. */
  async #devices(
    there: VerifyAnswer | string,
    checks: readonly Check[],
  ): Promise<VerificationCheck[]> {
    const changed = checks.find(({ name }) => name === 'same-machine');
    if (changed !== undefined) return [notLooked('devices', 'both', changed.evidence)];
    if (this.#compare === undefined) return [notLooked('devices', 'both', BEFORE)];
    if (typeof there === 'string') return [notLooked('devices', 'both', there)];
    try {
      const compared = await this.#compare(there.machine);
      return compared.map(({ verdict, evidence, error, hint = error?.hint ?? DIFFERS_HINT }) =>
        verdict === 'pass' || error === undefined
          ? looked('devices', 'both', passes(evidence))
          : looked('devices', 'both', warns(evidence, hint)),
      );
    } catch (thrown) {
      return [notLooked('devices', 'both', toGodwitError(thrown).message)];
    }
  }

  #guestClock(): Promise<VerificationCheck> {
    return this.#clock.after(addressOf(this.#deps), this.#deps.probes.stoodStillMs);
  }
}

function sinceWords({ ended, halted }: Pick<StepFacts, 'ended' | 'halted'>): string {
  if (ended !== undefined) return `ran it until it ${endWords(ended)}`;
  return halted === undefined ? 'runs the guest' : `ran it until it ${haltWords(halted)}`;
}

function addressOf({ config, state }: Dependencies): ReturnType<typeof clockAddressOf> {
  const { plan, known } = state();
  const seen = (known.networks ?? []).flatMap(({ addresses }) => addresses);
  return clockAddressOf(config, plan.guest, seen);
}
