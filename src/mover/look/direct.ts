import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import { hostFactsOf } from '../../host/machine/host-facts.ts';
import { lookAtPath } from '../../host/machine/path-look.ts';
import type { Knows } from '../../host/memory-sample/pages.ts';
import { initialSource, type StepFacts } from '../../migration/direct/source/source-state.ts';
import { pass, refusal, warn } from '../../migration/preflight/check.ts';
import { losesFullPackets } from '../../network/path-size.ts';
import { defined } from '../../protocol/defined.ts';
import { fullAddress, splitAddress } from '../../protocol/names.ts';
import { routesOf } from '../../protocol/network.ts';
import type { Admission, Preparation } from '../../protocol/peer/migration.ts';
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
  type GuestExamination,
  type StepDependencies,
} from '../direct/source/examine.ts';
import type { SourceGuest } from '../direct/source/guest/guest.ts';
import { GuestConnections } from '../direct/source/network/connections.ts';
import { missing, preparation } from '../direct/source/source-base.ts';
import type { CheckDependencies, ExaminationRequest } from './questions.ts';

/** Time for the destination's answer, ms; the last question may probe a silent segment. */
const ADMISSION_MS = 8000;
const QUESTION_MS = 2000;
const STORAGE_MS = 10_000;
const ASSESS_MS = 15_000;
const STANDBY_MS = 10_000;
/** Three seconds of these are for the guest; a plan only waits for the rest if the destination is slow, ms. */
const KNOWN_MS = 6000;
/** Native memory needs a separate port. */
const NATIVE_PORTS = 2;
const WIRE_PORTS = 1;

export interface Examining extends CheckDependencies, ExaminationRequest {
  readonly guest: SourceGuest;
  readonly measured?: GuestMeasure | undefined;
}

export interface Examination extends Omit<GuestExamination, 'facts'> {
  readonly checks: readonly Check[];
  readonly isAnswered: boolean;
  readonly known: StepFacts;
}

/** Steps `admit`, `inspect` and `assess` without a mover at the destination. Continues after a refusal. */
export async function examine(asked: Examining, signal: AbortSignal): Promise<Examination> {
  const findings = findingsOf(asked, signal);
  const { deps, learn } = stepDependencies(asked, findings);
  const answered = learn(await admit(deps, findings, signal));
  const inspected = learn(await inspect(deps, findings, signal));
  const isDescribed = deps.state().known.description !== undefined;
  if (answered !== undefined && isDescribed) {
    const assessed = learn(await assess(deps, findings, signal));
    if (asked.standby === true && assessed !== undefined)
      await findings.attempt('destination', () => offerStandby(asked, deps, findings, signal));
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
      // A standby only starts at the destination.
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

/** `learn` keeps a look's results, as a migration's state does. */
function stepDependencies(asked: Examining, findings: Findings) {
  const { id, config, clock, request, handle, seen, memoryBytes = 0, guest, measured } = asked;
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
  const deps: StepDependencies = {
    config,
    guest,
    peer: agentAsPeer(asked, findings),
    state: () => state,
    hostFacts: hostFactsOf(config, clock),
    request: { id, request, handle, memoryBytes, ...seen, measured },
    connections: new GuestConnections(),
    dataPath: { offered: true },
  };
  const learn = (looked: GuestExamination | undefined): typeof looked => {
    state = { ...state, known: { ...state.known, ...looked?.facts } };
    return looked;
  };
  return { deps, learn };
}

/** The destination's agent stands in for its mover, which is not started. */
function agentAsPeer(
  { clock, peers, request }: Examining,
  { report }: Pick<Findings, 'report'>,
): AdmittingPeer {
  const { to, path } = request;
  const api = peers.preflight(to);
  const main = peers.address(to);
  const further = request.pathAddresses ?? peers.furtherAddresses(to);
  /** Repeated by each later question. */
  let admission: Admission | undefined;
  const admitted = (): Admission => {
    if (admission === undefined) throw missing('admission');
    return admission;
  };
  return {
    byRelay: rendezvousOf(main ?? '') !== undefined,
    addresses: main === undefined ? [] : [main, ...further.map((each) => fullAddress(each, main))],
    admit: async (asked, signal) => {
      admission = asked;
      const body = { admission, ports: path === 'wire' ? WIRE_PORTS : NATIVE_PORTS };
      try {
        const askedMs = clock.wallMs();
        const answer = await api.preflight({ body }, { signal, deadlineMs: ADMISSION_MS });
        const answeredMs = clock.wallMs();
        const checks = [pass('destination', `${to} answers`, 'both'), ...answer.checks];
        const question = (within: AbortSignal): Promise<unknown> =>
          peers.linkProbe(to, '', { signal: within, deadlineMs: QUESTION_MS });
        // Not in parallel with the question, which would distort its time.
        const look = main === undefined ? {} : await lookAtPath(main, question, signal);
        return { ...answer, checks, askedMs, answeredMs, path: look };
      } catch (thrown) {
        signal.throwIfAborted();
        if (!hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN'))
          throw await whyNoAnswer(thrown, { to, address: main }, signal);
        const evidence = `${to} runs a build that answers no checks: it was not asked`;
        const hint = `Upgrade Godwit on ${to}; a migration to it makes these checks once it has begun.`;
        report([warn('destination', evidence, hint, 'both')]);
        return undefined;
      }
    },
    resume: () => undefined,
    call: (_id, signal, question) =>
      question({
        storage: ({ body: proof }) => {
          const body = { admission: admitted(), proof };
          return api.preflightStorage({ body }, { signal, deadlineMs: STORAGE_MS });
        },
        known: ({ body: cache }, options) =>
          api.preflightKnown(
            { body: { admission: admitted(), ports: WIRE_PORTS, cache } },
            options,
          ),
        assess: ({ body: preparation }) => {
          const body = { admission: routed(admitted(), preparation), preparation };
          return api.preflightAssess({ body }, { signal, deadlineMs: ASSESS_MS });
        },
      }),
  };
}

/** Adds the routes once the guest is described. */
function routed(admission: Admission, { networks = [] }: Pick<Preparation, 'networks'>): Admission {
  return { ...admission, routes: routesOf(networks) };
}

const MTU_HINT =
  'Something on the way drops full packets and says nothing: give the path one MTU, or lower it at both hosts to the least on the way (`ping -M do -s 1472` shows what passes).';

/** Reason for a missing answer: a kernel that answers small packets but no full ones. */
export async function whyNoAnswer(
  thrown: unknown,
  { to, address }: { readonly to: string; readonly address: string | undefined },
  signal: AbortSignal,
  loses: (host: string, signal: AbortSignal) => Promise<boolean> = losesFullPackets,
): Promise<GodwitError> {
  const isSilent = hasCode(thrown, 'GODWIT_DEADLINE') || hasCode(thrown, 'GODWIT_UNREACHABLE');
  const isDirect = address !== undefined && rendezvousOf(address) === undefined;
  if (!isSilent || !isDirect || !(await loses(splitAddress(address).host, signal)))
    return toGodwitError(thrown);
  const reason = 'small packets come back from there, and full ones do not';
  const facts = { peer: to, address, reason };
  return godwitError('GODWIT_UNREACHABLE', facts, { hint: MTU_HINT, cause: thrown });
}

/** Asks the destination's agent before a migration. Undefined if it does not admit the guest. Never rejects. */
export async function askAgentKnown(asked: Examining, signal: AbortSignal): Knows {
  const { config, request, guest, peers } = asked;
  // Container memory does not use the wire.
  if (request.mode === 'cold' || guest.capabilities.rounds === 'content') return undefined;
  const findings = findingsOf(asked, signal);
  const { deps } = stepDependencies(asked, findings);
  return askKnown(config, request, async (cache) => {
    const body = { admission: await admissionOf(deps, findings, signal), ports: WIRE_PORTS, cache };
    return peers.preflight(request.to).preflightKnown({ body }, { signal, deadlineMs: KNOWN_MS });
  });
}

/** If nothing is against a cold move, the destination keeps its description as a standby. */
async function offerStandby(
  { request, peers, labels, digest, guest: held }: Examining,
  deps: StepDependencies,
  findings: Findings,
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
  const admission = routed(await admissionOf(deps, findings, signal), body);
  await peers.preflight(to).keepStandby(
    {
      params: { guest },
      body: {
        admission: { ...admission, ...defined({ labels }) },
        preparation: body,
        ...defined({ digest }),
      },
    },
    { deadlineMs: STANDBY_MS, signal },
  );
}
