import { hasCode, toGodwitError, godwitError } from '../../errors.ts';
import { hostFactsOf } from '../../host/machine/host-facts.ts';
import { lookAtPath } from '../../host/machine/path-look.ts';
import type { Knows } from '../../host/memory-sample/pages.ts';
import { initialSource, type StepFacts } from '../../migration/direct/source-state.ts';
import { pass, refusal, warn } from '../../migration/preflight/check.ts';
import { defined } from '../../protocol/defined.ts';
import { fullAddress } from '../../protocol/names.ts';
import { routesOf } from '../../protocol/network.ts';
import type { Admission } from '../../protocol/peer/migration.ts';
import { migrationSettings, type Check } from '../../protocol/public/migration.ts';
import type { GuestMeasure } from '../../protocol/public/prediction.ts';
import { rendezvousOf } from '../../protocol/relay.ts';
import { askKnown } from '../direct/source/ask-known.ts';
import {
  admissionOf,
  admit,
  assess,
  inspect,
  type AdmittingPeer,
  type Findings,
  type Looked,
  type StepDependencies,
} from '../direct/source/examine.ts';
import type { SourceGuest } from '../direct/source/guest/guest.ts';
import { GuestConnections } from '../direct/source/network/connections.ts';
import type { AdmissionAnswer } from '../direct/source/peer.ts';
import {
  missing,
  preparation,
  type LookDependencies,
  type LookQuestion,
} from '../direct/source/source-base.ts';
import { whyNoAnswer } from './no-answer.ts';
import type { CheckDependencies, Examined } from './questions.ts';

/** The destination answers within this, ms; the last may ask a segment that is silent. */
const ADMISSION_MS = 8000;
/** Of each question that times the path to the destination. */
const QUESTION_MS = 2000;
const STORAGE_MS = 10_000;
const ASSESS_MS = 15_000;
const STANDBY_MS = 10_000;
/** The guest is looked at for three seconds of these; a plan waits for the rest only where the destination is slow, ms. */
const KNOWN_MS = 6000;
/** Memory that goes from hypervisor to hypervisor arrives at a port of its own. */
const NATIVE_PORTS = 2;
const WIRE_PORTS = 1;

export interface Examining extends CheckDependencies, Examined {
  readonly guest: SourceGuest;
  /** What the guest was measured to be, where it was. */
  readonly measured?: GuestMeasure | undefined;
}

export interface Examination extends Omit<Looked, 'facts'> {
  readonly checks: readonly Check[];
  /** The destination answered. */
  readonly isAnswered: boolean;
  /** What a migration would have found out by then. */
  readonly known: StepFacts;
}

/**
 * The steps `admit`, `inspect` and `assess` of a migration without a mover at the destination. A refusal does not end them,
 * so that all of them are reported.
 */
export async function examine(asked: Examining, signal: AbortSignal): Promise<Examination> {
  const findings = findingsOf(asked, signal);
  const peer = new AgentPeer(asked, findings);
  const { deps, learn } = stepDependencies(asked, peer);
  const answered = learn(await admit(deps, findings, signal));
  const inspected = learn(await inspect(deps, findings, signal));
  const isDescribed = deps.state().known.description !== undefined;
  if (answered !== undefined && isDescribed) {
    const assessed = learn(await assess(deps, findings, signal));
    if (asked.standby === true && assessed !== undefined)
      await findings.attempt('destination', () =>
        offerStandby(asked, deps, { admission: peer.admission, findings }, signal),
      );
  }
  return {
    ...answered,
    ...inspected,
    checks: findings.checks,
    isAnswered: answered !== undefined,
    known: deps.state().known,
  };
}

function findingsOf({ standby }: Pick<Examining, 'standby'>, signal: AbortSignal): Findings {
  const checks: Check[] = [];
  return {
    checks,
    report: (found) => void checks.push(...found),
    attempt: async (name, work) => {
      // A standby is started at the destination alone.
      if (name === 'restart' && standby === true) return undefined;
      try {
        return await work();
      } catch (thrown) {
        signal.throwIfAborted();
        if (name !== undefined) checks.push(refusal(name, toGodwitError(thrown), 'both'));
        return undefined;
      }
    },
  };
}

/** `learn` keeps what a look found out, as a migration's state does. */
function stepDependencies(
  { id, config, clock, request, handle, seen, memoryBytes = 0, guest, measured }: Examining,
  peer: AdmittingPeer,
): {
  readonly deps: StepDependencies;
  readonly learn: (looked: Looked | undefined) => Looked | undefined;
} {
  let { state } = initialSource({
    type: 'planned',
    id,
    guest: request.guest,
    from: config.name,
    to: request.to,
    epoch: 1,
    settings: migrationSettings.parse(request),
    bootId: '',
  });
  return {
    deps: {
      config,
      guest,
      peer,
      state: () => state,
      hostFacts: hostFactsOf(config, clock),
      request: { id, request, handle, memoryBytes, ...seen, measured },
      connections: new GuestConnections(),
      dataPath: { offered: true },
    },
    learn: (looked) => {
      state = { ...state, known: { ...state.known, ...looked?.facts } };
      return looked;
    },
  };
}

/** The destination's agent in the place of its mover, which has not been started. */
class AgentPeer implements AdmittingPeer {
  readonly #asked: Examining;
  readonly #report: Findings['report'];
  #admission: Admission | undefined;

  constructor(asked: Examining, { report }: Pick<Findings, 'report'>) {
    this.#asked = asked;
    this.#report = report;
  }

  /** All that a migration would use: those that it was given, or those of the configuration. */
  get addresses(): readonly string[] {
    const { peers, request } = this.#asked;
    const main = peers.address(request.to);
    if (main === undefined) return [];
    const further = request.pathAddresses ?? peers.furtherAddresses(request.to);
    return [main, ...further.map((each) => fullAddress(each, main))];
  }

  get byRelay(): boolean {
    const { peers, request } = this.#asked;
    return rendezvousOf(peers.address(request.to) ?? '') !== undefined;
  }

  /** Of this check: each of its questions names it. */
  get admission(): Admission {
    if (this.#admission === undefined) throw missing('admission');
    return this.#admission;
  }

  get #api() {
    return this.#asked.peers.preflight(this.#asked.request.to);
  }

  async admit(admission: Admission, signal: AbortSignal): Promise<AdmissionAnswer | undefined> {
    this.#admission = admission;
    const { clock, peers, request } = this.#asked;
    const { to } = request;
    const ports = request.path === 'wire' ? WIRE_PORTS : NATIVE_PORTS;
    try {
      const options = { signal, deadlineMs: ADMISSION_MS };
      const askedMs = clock.wallMs();
      const answer = await this.#api.preflight({ body: { admission, ports } }, options);
      const answeredMs = clock.wallMs();
      const checks = [pass('destination', `${to} answers`, 'both'), ...answer.checks];
      const question = (within: AbortSignal): Promise<unknown> =>
        peers.linkProbe(to, '', { signal: within, deadlineMs: QUESTION_MS });
      // Not beside the question: what that takes of this process would be taken for the path.
      const address = peers.address(to);
      const path = address === undefined ? {} : await lookAtPath(address, question, signal);
      return { ...answer, checks, askedMs, answeredMs, path };
    } catch (thrown) {
      signal.throwIfAborted();
      if (!hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN'))
        throw await whyNoAnswer(thrown, { to, address: peers.address(to) }, signal);
      const evidence = `${to} runs a build that answers no checks: it was not asked`;
      const hint = `Upgrade Godwit on ${to}; a migration to it makes these checks once it has begun.`;
      this.#report([warn('destination', evidence, hint, 'both')]);
      return undefined;
    }
  }

  resume(): void {}

  call<T>(_id: string, signal: AbortSignal, question: LookQuestion<T>): Promise<T> {
    const { admission } = this;
    const api = this.#api;
    return question({
      storage: ({ body: proof }) =>
        api.preflightStorage({ body: { admission, proof } }, { signal, deadlineMs: STORAGE_MS }),
      known: ({ body: cache }, within) =>
        api.preflightKnown({ body: { admission, ports: WIRE_PORTS, cache } }, within),
      assess: ({ body }) => {
        const routed = { ...admission, routes: routesOf(body.networks ?? []) };
        const options = { signal, deadlineMs: ASSESS_MS };
        return api.preflightAssess({ body: { admission: routed, preparation: body } }, options);
      },
    });
  }
}

/** Of the destination's agent, before there is a migration. Also undefined where it lets the guest not in. Never rejects. */
export async function askAgentKnown(asked: Examining, signal: AbortSignal): Knows {
  const { config, request, guest, peers } = asked;
  // A container's memory goes by no wire.
  if (request.mode === 'cold' || guest.capabilities.rounds === 'content') return undefined;
  const findings = findingsOf(asked, signal);
  const { deps } = stepDependencies(asked, new AgentPeer(asked, findings));
  return askKnown(config, request, async (cache) => {
    const body = { admission: await admissionOf(deps, findings, signal), ports: WIRE_PORTS, cache };
    return peers.preflight(request.to).preflightKnown({ body }, { signal, deadlineMs: KNOWN_MS });
  });
}

/** Where nothing speaks against a cold move, the destination keeps what a cold move would give it. */
async function offerStandby(
  { request, peers, labels, digest, guest: held }: Examining,
  deps: LookDependencies,
  { admission, findings }: { readonly admission: Admission; readonly findings: Findings },
  signal: AbortSignal,
): Promise<void> {
  const { guest, to } = request;
  const { onThisHost } = await held.inspect(signal);
  if (onThisHost !== undefined) {
    const reason = `${onThisHost} is on its host alone, and is lost with it`;
    const lost = godwitError('GODWIT_CAPABILITY', { what: `to start ${guest} elsewhere`, reason });
    findings.report([refusal('devices', lost)]);
  }
  const body = preparation(deps);
  if ((body.copies ?? []).length + (body.bases ?? []).length > 0) {
    const device = body.copies?.[0]?.node ?? body.bases?.[0]?.node ?? '';
    const reason = `${to} would need a copy of it, and nobody can make one of a host that is dead`;
    const facts = { host: to, guest, device, reason };
    findings.report([refusal('disks', godwitError('GODWIT_DISK_MISSING', facts), 'both')]);
  }
  if (findings.checks.some(({ verdict }) => verdict === 'refuse')) return;
  const offered = {
    ...admission,
    routes: routesOf(body.networks ?? []),
    settings: migrationSettings.parse(request),
    ...defined({ labels }),
  };
  await peers.preflight(to).keepStandby(
    {
      params: { guest },
      body: {
        admission: offered,
        preparation: body,
        ...defined({ digest }),
      },
    },
    { deadlineMs: STANDBY_MS, signal },
  );
}
