import type { Clock } from '../../../../clock.ts';
import { withDeadline } from '../../../../deadline.ts';
import { GodwitError, godwitError, toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import { isCold } from '../../../../migration/direct/cold.ts';
import { stepIndex } from '../../../../migration/direct/source/steps.ts';
import {
  changeWords,
  compareGuests,
  withMedia,
  type GuestChange,
} from '../../../../migration/guest-changes/compare.ts';
import { haltError } from '../../../../migration/guest-changes/errors.ts';
import { changedPorts } from '../../../../migration/guest-changes/ports.ts';
import type { SourceState } from '../../../../migration/direct/source/source-state.ts';
import { pass, warn, type NamedCheck } from '../../../../migration/preflight/check.ts';
import type { GuestSnapshot } from '../../../../migration/guest-changes/snapshot.ts';
import { Mutex } from '../../../../mutex.ts';
import type { PortLooks } from '../../../../network/port-look.ts';
import type { NicNetwork } from '../../../../protocol/network.ts';
import type { Check } from '../../../../protocol/public/migration.ts';
import { carryMedia, type CarryDependencies } from '../disks/carry-media.ts';
import type { MigrationRun } from '../source-base.ts';
import type { SourceGuest } from './guest.ts';

/** Interval between comparisons while the guest moves, ms; some changes have no event. */
const COMPARE_MS = 5000;
/** Delay from an event to the comparison, ms; one change may cause several events. */
const SETTLE_MS = 300;
/** Time to find the reason of a failed stream, ms. */
const EXPLAIN_MS = 2000;

/** Time to carry changed media over, ms; at the switchover the guest waits for it. */
const CARRY_MS = 10_000;

/** Changes listed in the report; older ones are dropped. */
const MAX_TOLD = 8;

type Facts = Pick<MigrationRun, 'state'>;
type Carry = (drives: readonly string[], now: GuestSnapshot, signal: AbortSignal) => Promise<void>;

/**
 * Compares the guest with the basis of its destination, as long as its owner can change it. A difference that the
 * move does not carry over ends the move by name. Changed media are carried over as soon as they are seen.
 */
export class GuestChanges {
  readonly #deps: CarryDependencies;
  readonly #clock: Clock;
  readonly #log: Log;
  #wake: (() => void) | undefined;
  #carried: readonly GuestChange[] = [];
  /** Snapshot that the destination matches now, and the reported changes. */
  #told: GuestSnapshot | undefined;
  readonly #toldWords: string[] = [];
  /** Only one comparison at a time informs the destination. */
  readonly #mutex = new Mutex();
  readonly #ports: Pick<PortLooks, 'ahead' | 'look'>;
  #unseenPorts: string | undefined;
  #life: AbortSignal | undefined;

  constructor(
    deps: CarryDependencies,
    clock: Clock,
    log: Log,
    ports: Pick<PortLooks, 'ahead' | 'look'>,
  ) {
    this.#deps = deps;
    this.#clock = clock;
    this.#log = log;
    this.#ports = ports;
  }

  async assertReady(signal: AbortSignal): Promise<void> {
    const { halt } = await this.#deps.guest.status(signal);
    if (halt !== undefined) throw new GodwitError(haltError(this.#deps.state().plan.guest, halt));
    await this.assertSame(signal);
    this.#portsAhead();
  }

  /** GODWIT_GUEST_CHANGED, or GODWIT_GUEST_HALTED if its owner stopped it. */
  async assertSame(signal: AbortSignal): Promise<void> {
    const error = await this.#compare(signal, carriedBy(this.#deps));
    if (error !== undefined) throw error;
  }

  checks(): Check[] {
    const words = [...this.#toldWords, ...this.#carried.map((each) => each.words)];
    const told = `changed while it moved, and carried over: ${words.join('; ')}`;
    return [
      ...(words.length === 0 ? [] : [pass('same-machine', told)]),
      ...(this.#unseenPorts === undefined ? [] : [unseenPorts(this.#unseenPorts)]),
    ];
  }

  /** Change of the guest that explains a failure; undefined if there is none or it cannot be read. */
  async explain(signal: AbortSignal): Promise<GodwitError | undefined> {
    const comparing = withDeadline('comparing the guest', EXPLAIN_MS, signal, (inner) =>
      this.#compare(inner),
    );
    return comparing.catch(() => undefined);
  }

  /** Compares periodically until the switchover; calls `onChanged` with each difference. */
  async watch(onChanged: (error: GodwitError) => void, signal: AbortSignal): Promise<void> {
    let isHeard = false;
    this.#life = signal;
    while (!signal.aborted) {
      await this.#pause(COMPARE_MS, signal);
      if (signal.aborted) return;
      if (!mayChange(this.#deps)) continue;
      try {
        if (!isHeard) {
          const session = await this.#deps.guest.session(signal);
          session.onChange?.(() => this.#wake?.());
          isHeard = true;
        }
        const carry = isMade(this.#deps) ? carriedBy(this.#deps) : undefined;
        const error = await this.#compare(signal, carry);
        if (error !== undefined && mayChange(this.#deps)) onChanged(error);
        this.#portsAhead();
      } catch (thrown) {
        // The comparison before the switchover decides.
        if (!signal.aborted) this.#log.debug({ error: toGodwitError(thrown) }, 'no comparison');
      }
    }
  }

  /** Waits for the time, or until shortly after a reported change. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort(new Error('the guest may have been changed'));
    await this.#clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => undefined);
    this.#wake = undefined;
    if (woken.signal.aborted && !signal.aborted) {
      await this.#clock.sleep(SETTLE_MS, signal).catch(() => undefined);
    }
  }

  #compare(signal: AbortSignal, carry?: Carry): Promise<GodwitError | undefined> {
    return this.#mutex.run(() => this.#compareNow(signal, carry));
  }

  /** Without `carry`, ignores changes that the destination must still be told. */
  async #compareNow(
    signal: AbortSignal,
    carry: Carry | undefined,
  ): Promise<GodwitError | undefined> {
    const { guest, state } = this.#deps;
    const { known, plan, halted } = state();
    if (halted !== undefined) return new GodwitError(haltError(plan.guest, halted));
    const before = this.#told ?? known.snapshot;
    if (before === undefined) return undefined;
    const session = await guest.session(signal);
    // In parallel, because at the switchover the guest waits for both.
    const [now, ofPorts] = await Promise.all([
      session.snapshot?.(signal),
      this.#lookAtPorts(known.networks ?? [], signal),
    ]);
    if (now === undefined) return undefined;
    const ofGuest = compareGuests(before, now, {
      copiesDisks: (known.copies ?? []).length > 0,
      // A cold guest boots there from the command line made before.
      carriesMedia: !isCold(state()),
      unplugs: (known.unplugged ?? []).map(({ device }) => device),
    });
    const changes = [...ofGuest, ...ofPorts];
    this.#carried = changes.filter(({ verdict }) => verdict === 'carried');
    const changed = (what: string): GodwitError =>
      godwitError('GODWIT_GUEST_CHANGED', { guest: plan.guest, what });
    const what = changeWords(changes);
    if (what !== undefined) return changed(what);
    const words = changeWords(changes, 'to-carry');
    if (words === undefined || carry === undefined) return undefined;
    const drives = changes.filter(({ verdict }) => verdict === 'to-carry').map(({ name }) => name);
    try {
      await withDeadline('carrying the medium over', CARRY_MS, signal, (inner) =>
        carry(drives, now, inner),
      );
    } catch (thrown) {
      signal.throwIfAborted();
      return changed(`${words}, which ${plan.to} cannot follow: ${toGodwitError(thrown).message}`);
    }
    this.#told = withMedia(before, now, drives);
    this.#toldWords.push(words);
    if (this.#toldWords.length > MAX_TOLD) this.#toldWords.shift();
    return undefined;
  }

  /** Never rejects: an unreadable port is reported, and the guest moves. */
  async #lookAtPorts(
    networks: readonly NicNetwork[],
    signal: AbortSignal,
  ): Promise<readonly GuestChange[]> {
    if (networks.length === 0) return [];
    try {
      const changes = changedPorts(networks, await this.#ports.look(networks, signal));
      this.#unseenPorts = undefined;
      return changes;
    } catch (thrown) {
      if (!signal.aborted) this.#unseenPorts = toGodwitError(thrown).message;
      return [];
    }
  }

  /** Reads ahead, because the next look may delay a paused guest. */
  #portsAhead(): void {
    const { known } = this.#deps.state();
    const isLooked = known.snapshot !== undefined && (known.networks ?? []).length > 0;
    if (isLooked && this.#life !== undefined) this.#ports.ahead(this.#life);
  }
}

function unseenPorts(why: string): NamedCheck {
  const hint = 'Compare the settings of the guest’s ports at both hosts.';
  return warn('port-settings', `not compared once more before the switch: ${why}`, hint);
}

function carriedBy(context: CarryDependencies): Carry {
  return (drives, now, signal) => carryMedia(context, drives, now, signal);
}

function isMade({ state }: Facts): boolean {
  const { doing } = state();
  return doing.kind === 'do' && stepIndex(doing.step) > stepIndex('prepare');
}

/** The destination is being made or memory flows, and no step waits for the monitor. */
function mayChange({ state }: Facts): boolean {
  const { doing, stopped } = state();
  if (doing.kind !== 'do' || stopped) return false;
  const at = stepIndex(doing.step);
  return at > stepIndex('assess') && at <= stepIndex('memory');
}

interface SameMachineDependencies {
  readonly guest: Pick<SourceGuest, 'machine'>;
  readonly state: () => SourceState;
}

/**
 * Starts reading the machine here. Resolves to a function that compares the destination's machine, as the check
 * `same-machine`; no check if the driver cannot read machines.
 */
export function sameMachine(
  { guest, state }: SameMachineDependencies,
  signal: AbortSignal,
): (there: unknown) => Promise<Check[]> {
  const here = guest.machine(signal);
  here.catch(() => {});
  return async (there) => {
    const { to } = state().plan;
    try {
      const compare = await here;
      if (compare === undefined) return [];
      if (there === undefined) {
        return [notCompared(`${to} did not report what it has made`, `Upgrade Godwit on ${to}.`)];
      }
      return [compare(there, to)];
    } catch (thrown) {
      signal.throwIfAborted();
      const { code, message } = toGodwitError(thrown);
      if (code === 'GODWIT_PROTOCOL_INVALID' || code === 'GODWIT_HYPERVISOR_LOST') throw thrown;
      return [notCompared(message, 'Move it again once both hosts have less to do.')];
    }
  };
}

function notCompared(why: string, hint: string): Check {
  const evidence = `it was not found out whether it is the same machine there: ${why}`;
  return warn('same-machine', evidence, hint, 'both');
}
