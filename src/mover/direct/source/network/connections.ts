import type { AgentConfig } from '../../../../config.ts';
import { systemClock } from '../../../../clock.ts';
import { toGodwitError } from '../../../../errors.ts';
import { changes, keyOf } from '../../../../network/connections/entries.ts';
import { readConnections, trackedHere } from '../../../../network/connections/table.ts';
import { learnAddresses } from '../../../../network/segment/learn.ts';
import { removeProbePort } from '../../../../network/segment/probe-port.ts';
import { MAX_IN_CALL, type Connection } from '../../../../protocol/peer/connections.ts';
import type { NamedCheck } from '../../../../migration/preflight/check.ts';
import type { Check } from '../../../../protocol/public/migration.ts';
import type { NicNetwork } from '../../../../protocol/network.ts';
import { Mutex } from '../../../../mutex.ts';
import { ask, type LookDependencies, type MoverParts } from '../source-base.ts';

/** Interval between looks while memory moves, ms; newer connections are reported once the guest runs. */
const LOOK_MS = 2000;
const WORK_MS = 3000;
const ANSWER_MS = 2500;
const LEARN_MS = 4000;

type Dependencies = Pick<MoverParts, 'config' | 'request' | 'state' | 'peer'>;

interface ConnectionTable {
  readonly trackedHere: typeof trackedHere;
  readonly readConnections: typeof readConnections;
}

/**
 * Reports the guest's tracked connections to the destination: all when it is armed, new ones while memory moves, and
 * the rest once the guest runs there. Never during the blackout, because reading the table starts a program. Errors
 * never end a migration.
 */
export class GuestConnections {
  readonly #table: ConnectionTable;
  readonly #mutex = new Mutex();
  readonly #over = new AbortController();
  #handedOver: ReadonlyMap<string, Connection> = new Map();
  #leftOut = 0;
  #problem: string | undefined;
  /** Reason why the destination takes none. */
  #refused: string | undefined;
  #unlearned: string | undefined;
  #following = false;

  constructor(table: ConnectionTable = { trackedHere, readConnections }) {
    this.#table = table;
  }

  /** Adds the guest's addresses seen in its connections to its NICs. */
  async learn(
    { config, request }: Pick<LookDependencies, 'config' | 'request'>,
    nics: NicNetwork[],
    signal: AbortSignal,
  ): Promise<NicNetwork[]> {
    if (isLeft(config)) return nics;
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(LEARN_MS)]);
      return await learnAddresses(nics, request.id, bounded);
    } catch (thrown) {
      signal.throwIfAborted();
      this.#unlearned = toGodwitError(thrown).message;
      return nics;
    }
  }

  /** Reports all. Never rejects. */
  async handOver(context: Dependencies, signal: AbortSignal): Promise<NamedCheck> {
    const check = (verdict: NamedCheck['verdict'], evidence: string): NamedCheck => ({
      name: 'connections',
      side: 'both',
      verdict,
      evidence: evidence.slice(0, 4096),
    });
    if (isLeft(context.config))
      return check('pass', 'left to themselves, as this host is configured');
    const count = await this.#table.trackedHere();
    if (count === 0) return check('pass', `${context.config.name} tracks no connection`);
    if (addressesOf(context).length === 0) {
      return this.#unlearned === undefined
        ? check('pass', `none of the ${count} tracked at ${context.config.name} is the guest’s`)
        : check('warn', `not handed over: whose they are is not known: ${this.#unlearned}`);
    }
    await this.#look(context, signal);
    if (this.#problem !== undefined) return check('warn', `not handed over: ${this.#problem}`);
    const { to } = context.state().plan;
    const rest = [
      `${this.#handedOver.size} handed over ahead of the guest`,
      ...(this.#leftOut === 0
        ? []
        : [`${this.#leftOut} left out, of other protocols or more than one guest may have`]),
      ...(this.#refused === undefined ? [] : [`${to} takes none of ${this.#refused}`]),
    ];
    return check(rest.length === 1 ? 'pass' : 'warn', rest.join('; '));
  }

  /** Reports new ones while memory moves. Repeatable. */
  follow(context: Dependencies): void {
    if (this.#following) return;
    this.#following = true;
    void this.#lookNowAndThen(context, this.#over.signal);
  }

  async #lookNowAndThen(context: Dependencies, signal: AbortSignal): Promise<void> {
    const isDue = (): boolean => {
      const { doing, stopped } = context.state();
      return doing.kind === 'do' && doing.step === 'memory' && !stopped;
    };
    try {
      for (;;) {
        await systemClock.sleep(LOOK_MS, signal);
        if (isDue()) await this.#look(context, signal);
      }
    } catch {
      // The migration is over.
    }
  }

  /** Reports the rest, once the guest runs at its destination. Never rejects. */
  async last(context: Dependencies): Promise<void> {
    this.#following = true;
    await this.#look(context, this.#over.signal, true);
  }

  late(before: readonly Check[] = []): NamedCheck[] {
    const handedOver = before.some(
      ({ name, verdict }) => name === 'connections' && verdict === 'warn',
    );
    if (this.#problem === undefined || handedOver) return [];
    const evidence = `those that are new were not handed over: ${this.#problem}`.slice(0, 4096);
    return [{ name: 'connections', side: 'both', verdict: 'warn', evidence }];
  }

  async close(migrationId: string): Promise<void> {
    this.#over.abort(new Error('the migration has ended'));
    // Left by a mover that died during a probe.
    await removeProbePort(migrationId);
  }

  #look(context: Dependencies, signal: AbortSignal, isLast = false): Promise<void> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(WORK_MS)]);
    return this.#mutex.run(async () => {
      try {
        await this.#lookNow(context, within, isLast);
        this.#problem = undefined;
      } catch (thrown) {
        if (!signal.aborted) this.#problem = toGodwitError(thrown).message;
      }
    });
  }

  async #lookNow(context: Dependencies, signal: AbortSignal, isLast: boolean): Promise<void> {
    const addresses = addressesOf(context);
    if (isLeft(context.config) || addresses.length === 0) return;
    if ((await this.#table.trackedHere()) === 0 && this.#handedOver.size === 0) return;
    const { entries, leftOut } = await this.#table.readConnections(addresses, signal);
    this.#leftOut = leftOut;
    const { fresh, gone } = changes(this.#handedOver, entries);
    const needed = Math.ceil(Math.max(fresh.length, gone.length) / MAX_IN_CALL);
    const calls = Math.max(isLast ? 1 : 0, needed);
    for (let call = 0; call < calls; call += 1) {
      const part = (list: readonly Connection[]): Connection[] =>
        list.slice(call * MAX_IN_CALL, (call + 1) * MAX_IN_CALL);
      const body = {
        epoch: context.state().plan.epoch,
        fresh: part(fresh),
        gone: part(gone),
        complete: isLast && leftOut === 0 && call === calls - 1,
      };
      const { problem, leftOut: refused } = await ask(context, signal, (api) =>
        api.connections({ body }, { signal, deadlineMs: ANSWER_MS }),
      );
      if (problem !== undefined) throw new Error(`${context.state().plan.to}: ${problem}`);
      this.#refused = refused;
    }
    this.#handedOver = new Map(entries.map((entry) => [keyOf(entry), entry]));
  }
}

function addressesOf(context: Dependencies): string[] {
  return (context.state().known.networks ?? []).flatMap(({ addresses }) => addresses);
}

function isLeft({ network }: Pick<AgentConfig, 'network'>): boolean {
  return network.connections === 'leave' || network.connections === 'none';
}
