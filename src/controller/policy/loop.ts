import type { Clock } from '../../clock.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { PolicyChange, PolicyClaim } from '../store/policies.ts';
import type { PolicyKind } from '../../protocol/controller/policy.ts';
import { lookFor, type LookDependencies } from './turn.ts';

export interface PolicyLoopDependencies extends LookDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: string;
}

/** Longer than a look at a large fleet. Another controller takes over a dead one's policy after this time. */
const LEASE_MS = 120_000;
const LOOK_FOR_WORK_MS = 2000;
const AFTER_ERROR_MS = 5000;
/** Retries of a requested look. With several concurrent requests, the last to begin always succeeds. */
const MAX_LOOKS = 2;

export class PolicyLoop {
  readonly #deps: PolicyLoopDependencies;
  readonly #stop = new AbortController();
  #working: Promise<void> = Promise.resolve();

  constructor(deps: PolicyLoopDependencies) {
    this.#deps = deps;
  }

  start(): void {
    this.#working = this.#work();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#working;
  }

  /**
   * Looks now, even if another look runs, and writes the result. GODWIT_POLICY_UNKNOWN if there is none;
   * GODWIT_OVERLOADED if others interrupted every attempt.
   */
  async lookNow(kind: PolicyKind, scope: string): Promise<PolicyChange> {
    const { policies, owner, lookMs } = this.#deps;
    for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
      const claim = await policies.seize(kind, scope, owner, LEASE_MS);
      const change = await lookFor(this.#deps, { kind, scope, asked: true });
      if (await policies.commit(claim, change, lookMs)) return change;
    }
    const what = `a look for the ${kind} policy of ${scope}, overtaken by others,`;
    const hint = 'Others set it or look for it at the same time: ask again in a moment.';
    throw godwitError('GODWIT_OVERLOADED', { what, limit: `${MAX_LOOKS} tries` }, { hint });
  }

  async dryLook(kind: PolicyKind, scope: string): Promise<PolicyChange> {
    return lookFor(this.#deps, { kind, scope, asked: true });
  }

  async turn(kind: PolicyKind, scope: string): Promise<void> {
    const { policies, owner } = this.#deps;
    await this.#look(await policies.seize(kind, scope, owner, LEASE_MS));
  }

  async #look(claim: PolicyClaim): Promise<void> {
    const { policies, log, lookMs } = this.#deps;
    const { kind, scope } = claim;
    const change = await lookFor(this.#deps, { kind, scope });
    const isWritten = await policies.commit(claim, change, lookMs);
    log.debug({ kind, scope, isWritten, words: change.look.words }, 'policy evaluated');
  }

  async #work(): Promise<void> {
    const { policies, owner, log } = this.#deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const claim = await policies.acquire(owner, LEASE_MS);
        if (claim === undefined) {
          await this.#sleep(LOOK_FOR_WORK_MS);
          continue;
        }
        await this.#look(claim);
      } catch (thrown) {
        log.warn({ error: toGodwitError(thrown) }, 'policy could not be evaluated');
        await this.#sleep(AFTER_ERROR_MS);
      }
    }
  }

  async #sleep(ms: number): Promise<void> {
    await this.#deps.clock.sleep(ms, this.#stop.signal).catch(() => {});
  }
}
