import { toGodwitError, type ErrorCode } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import type { ManagerFinding } from '../../port/managed.ts';
import type { HostFacts } from './answers.ts';
import { compareChecks, notCompared } from './check.ts';
import { HypervHost } from './host.ts';
import {
  judgeAccount,
  judgeClock,
  judgeGuests,
  judgeLiveMigration,
  judgeVersion,
} from './judge.ts';
import { peerOf, type HypervOptions } from './options.ts';
import { runState } from './whereabouts.ts';
import { failed, tried } from '../../port/findings.ts';

/**
 * Checks whether this driver can work with that Hyper-V host and the configured others, using read-only scripts.
 * Never tested with a real one.
 */
export async function diagnose(
  name: string,
  options: HypervOptions,
  signal: AbortSignal,
): Promise<ManagerFinding[]> {
  const own = await diagnoseHost(name, options, options, signal);
  const source = own.facts;
  if (source === undefined) return own.findings;
  const guests = await tried('guests', signal, () => guestsOf(name, options, signal));
  const peers: ManagerFinding[] = [];
  for (const peer of Object.keys(options.hosts)) {
    const { findings, facts } = await diagnoseHost(peer, peerOf(options, peer), options, signal);
    peers.push(...findings);
    if (facts === undefined) continue;
    const between = { from: name, to: peer, source, destination: facts };
    peers.push(...(await tried('delegation', signal, () => compared(options, between, signal))));
  }
  return [...own.findings, ...guests, ...peers];
}

type Where = Parameters<typeof HypervHost.open>[1];

async function diagnoseHost(
  name: string,
  where: Where,
  options: HypervOptions,
  signal: AbortSignal,
): Promise<{ readonly findings: ManagerFinding[]; readonly facts?: HostFacts }> {
  let host: HypervHost | undefined;
  try {
    host = await HypervHost.open(name, where, options);
    const beganMs = Date.now();
    const account = await host.ask('account', {}, signal);
    const clock = judgeClock(name, Date.parse(account.now), (beganMs + Date.now()) / 2);
    const facts = await host.ask('host', {}, signal);
    const { fingerprint } = where;
    const by = fingerprint === undefined ? 'a CA vouches for it' : `pinned: ${fingerprint}`;
    const opened: ManagerFinding[] = [
      { name: 'address', verdict: 'ok', found: `${name}: ${new URL(where.url).host} answers` },
      { name: 'certificate', verdict: 'ok', found: `${name}: ${by}` },
      { name: 'login', verdict: 'ok', found: `${name}: as ${account.user}, by ${options.auth}` },
      judgeVersion(name, facts),
    ];
    const findings = [
      ...opened,
      clock,
      ...judgeAccount(name, account),
      ...judgeLiveMigration(name, facts),
    ];
    return { findings, facts };
  } catch (thrown) {
    signal.throwIfAborted();
    return { findings: [failed(FAILED_AT[toGodwitError(thrown).code] ?? 'address', thrown)] };
  } finally {
    host?.close();
  }
}

const FAILED_AT: Partial<Record<ErrorCode, string>> = {
  GODWIT_PEER_UNTRUSTED: 'certificate',
  GODWIT_MANAGER_DENIED: 'login',
  GODWIT_HYPERVISOR: 'rights',
  GODWIT_CONFIG: 'configuration',
};

async function guestsOf(
  name: string,
  options: HypervOptions,
  signal: AbortSignal,
): Promise<ManagerFinding[]> {
  const host = await HypervHost.open(name, options, options);
  try {
    const { guests } = await host.ask('list', {}, signal);
    return [judgeGuests(guests)];
  } finally {
    host.close();
  }
}

interface Between {
  readonly from: string;
  readonly to: string;
  readonly source: HostFacts;
  readonly destination: HostFacts;
}

/** Lets Hyper-V test a move of one running guest, which shows whether the source may act for the user there. */
async function compared(
  options: HypervOptions,
  between: Between,
  signal: AbortSignal,
): Promise<ManagerFinding[]> {
  const { from, to, source, destination } = between;
  const host = await HypervHost.open(from, options, options);
  try {
    const { guests } = await host.ask('list', {}, signal);
    const guest = guests.find(
      ({ state, clustered }) => !clustered && runState(state) === 'running',
    );
    const name = 'delegation';
    if (guest === undefined) {
      const found = `${from} to ${to}: not tried, for no guest runs on ${from} outside of a cluster`;
      return [{ name, verdict: 'warn', found, hint: 'Run this again when one does.' }];
    }
    const peer = peerOf(options, to);
    const asked = { id: guest.id, destination: destination.name, storage: peer.storage ?? null };
    const answer = await host.tried('compare', asked, signal);
    const hosts = { guest: guest.name, from, to, source, destination, storage: peer.storage };
    const checks =
      'error' in answer
        ? [notCompared(hosts, answer.error)]
        : compareChecks(hosts, answer.value.incompatibilities);
    return checks.map((check): ManagerFinding => {
      const found = `${from} to ${to}, by ${guest.name}: ${check.evidence}`;
      if (check.verdict === 'pass') return { name, verdict: 'ok', found };
      const hint = check.error?.hint;
      const verdict = check.name === 'delegation' ? 'fail' : 'warn';
      return { name: check.name, verdict, found, ...defined({ hint }) };
    });
  } finally {
    host.close();
  }
}
