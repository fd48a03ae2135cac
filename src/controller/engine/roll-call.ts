import { defined } from '../../protocol/defined.ts';
import type { Cancel } from '../requests/moves.ts';
import type { StageAnswer } from '../requests/roll-health.ts';
import type { FleetRequest } from '../../protocol/controller/fleet-request.ts';
import type { Claim, RollCalls, RequestStore, RequestView } from './ports.ts';

interface Dependencies {
  readonly store: Pick<RequestStore, 'renew'>;
  readonly roll: RollCalls;
  readonly leaseMs: number;
}

export function callOfRoll(
  { roll, ask }: Pick<FleetRequest, 'roll' | 'ask'>,
  cancel: Cancel,
): 'host' | 'program' | 'nothing' {
  if (ask.kind !== 'roll' || roll === undefined || cancel !== 'no') return 'nothing';
  switch (roll.stage) {
    case 'noting':
    case 'waiting':
      return 'host';
    case 'running':
      return 'program';
    case 'planning':
    case 'draining':
    case 'returning':
      return 'nothing';
  }
}

export class RollCall {
  readonly #deps: Dependencies;
  readonly #end = new AbortController();
  #of = '';
  #heard: StageAnswer | 'pending' | undefined;
  #call: Promise<void> = Promise.resolve();

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  ask({ request, cancel }: RequestView, claim: Claim): void {
    const of = callOfRoll(request, cancel);
    if (of === 'nothing' || this.#end.signal.aborted) return;
    if (this.#heard !== undefined && this.#of === keyOf(request)) return;
    // An earlier stage's call may still run; its answer is ignored.
    this.#of = keyOf(request);
    this.#heard = 'pending';
    const key = this.#of;
    const call = of === 'host' ? this.#host(request) : this.#program(request, claim);
    this.#call = call.then((heard) => {
      if (this.#of === key) this.#heard = heard;
    });
  }

  heard(request: FleetRequest): StageAnswer | 'pending' | undefined {
    return this.#of === keyOf(request) ? this.#heard : undefined;
  }

  get isPending(): boolean {
    return this.#heard === 'pending';
  }

  /** The answer was written, so the next call may be made. A newer answer is kept. */
  took(heard: StageAnswer | 'pending' | undefined): void {
    if (this.#heard === heard && heard !== 'pending') this.#heard = undefined;
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.#call;
  }

  #host(request: FleetRequest): Promise<StageAnswer> {
    return this.#deps.roll.host(hostOf(request), this.#end.signal);
  }

  /** Undefined if the program did not run; the next round asks again if it still has the request. */
  async #program(request: FleetRequest, claim: Claim): Promise<StageAnswer | undefined> {
    const { store, roll, leaseMs } = this.#deps;
    const isOwn = await store.renew(claim, leaseMs).catch(() => false);
    if (!isOwn) return undefined;
    const host = hostOf(request);
    const before = request.roll?.before;
    const call = {
      program: request.ask.run ?? '',
      host,
      id: `${request.id}.${host}`,
      epoch: claim.epoch,
      ...defined({ before }),
    };
    return roll.program(call, this.#end.signal);
  }
}

const hostOf = ({ ask, roll }: FleetRequest): string => ask.hosts[roll?.at ?? 0] ?? '';
const keyOf = (request: FleetRequest): string => `${request.roll?.at} ${request.roll?.stage}`;
