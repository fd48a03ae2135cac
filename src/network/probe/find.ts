import { systemClock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import type { Probing } from '../../protocol/peer/probe.ts';
import type { ProbeKind } from '../../protocol/public/probe.ts';
import { readNetwork } from '../host.ts';
import { mapNic } from '../mapping.ts';
import type { Landing } from '../landing.ts';
import type { NetworkFacts } from '../facts.ts';
import { openProbePort } from '../segment/probe-port.ts';
import { arpProbes } from './kinds/arp.ts';
import type { Probe } from './kinds/probe.ts';
import { httpProbe } from './kinds/http.ts';
import { openIcmp } from './kinds/icmp.ts';
import { tcpProbe, type TcpProbe } from './kinds/tcp.ts';
import { candidates, kindsOf, targetsOf, whyNone, type Target } from './choose.ts';

export interface ProbeSearch {
  readonly owner: string;
  readonly nics: readonly NicNetwork[];
  readonly bridges: Readonly<Record<string, string>>;
  readonly probing: Probing;
  readonly addresses?: readonly string[] | undefined;
  readonly leastIntervalMs?: number | undefined;
}

/** A probe with an answer; the caller sets `onAnswer` for later ones. */
export interface AnsweredProbe {
  readonly probe: Probe;
  onAnswer: () => void;
}

/** Wait for an answer to each kind of probe, and interval meanwhile, ms. */
const ANSWER_MS = 2000;
const AGAIN_MS = 50;

/** Finds a probe that the guest answers from here. Errors of this host do not reject. */
export async function findProbe(
  wanted: ProbeSearch,
  signal: AbortSignal,
): Promise<AnsweredProbe | string> {
  const failures: { kind: ProbeKind; why: string }[] = [];
  const facts = await readNetwork({}, signal);
  const targets = targetsOf(wanted.nics, facts.neighbours, wanted.addresses);
  if (targets.length === 0) return 'no address of the guest is known';
  const kinds = kindsOf(wanted.probing);
  for (const kind of kinds) {
    // Without NICs, no segment is known.
    if (kind === 'arp' && wanted.nics.length === 0 && kinds.length > 1) continue;
    const found = await tryKind(kind, wanted, targets, facts, signal);
    if (typeof found !== 'string') return found;
    failures.push({ kind, why: found });
  }
  return whyNone(failures);
}

async function tryKind(
  kind: ProbeKind,
  wanted: ProbeSearch,
  targets: readonly Target[],
  facts: NetworkFacts,
  signal: AbortSignal,
): Promise<AnsweredProbe | string> {
  try {
    if (kind === 'arp') return await tryArp(wanted, targets, facts, signal);
    return await tryOverIp(kind, wanted.probing, targets, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    return toGodwitError(thrown).message;
  }
}

/** Probes in the guest's segment through a port there, one NIC after the other. */
async function tryArp(
  { owner, nics, bridges }: ProbeSearch,
  targets: readonly Target[],
  facts: NetworkFacts,
  signal: AbortSignal,
): Promise<AnsweredProbe | string> {
  let why = 'it has no NIC in a bridge';
  for (const nic of nics) {
    const own = targets.filter(({ mac }) => mac === nic.mac);
    const landing = segmentHere(nic, bridges, facts);
    if (typeof landing === 'string') why = landing;
    if (typeof landing === 'string' || own.length === 0) continue;
    const port = await openProbePort(owner, landing, signal, 'w');
    let first: Target | undefined;
    let found: AnsweredProbe | undefined;
    const arp = arpProbes(port, own, (target) => {
      first ??= target;
      if (target === first) found?.onAnswer();
    });
    try {
      await untilAnswered(arp.probes, () => first !== undefined, signal);
      const probe = arp.probes.find(({ address }) => address === first?.address);
      if (probe !== undefined) found = { probe, onAnswer: () => undefined };
    } finally {
      if (found === undefined) await arp.close();
    }
    if (found !== undefined) return found;
    why = `nobody on ${landing.bridge} answers for ${own.map(({ address }) => address).join(', ')}`;
  }
  return why;
}

/** Segment of the guest on this host, or the reason for none. Ignores MTU. */
function segmentHere(
  nic: NicNetwork,
  configured: Readonly<Record<string, string>>,
  facts: NetworkFacts,
): Exclude<Landing, { kind: 'routed' }> | string {
  const { attachment } = nic;
  if (attachment.kind !== 'bridge' && attachment.kind !== 'ovs')
    return `it is attached by ${attachment.kind}`;
  const small = { ...nic, attachment: { ...attachment, mtu: 68 } };
  const mapping = mapNic(small, { asked: {}, configured }, { ...facts, forwarding: [] });
  if (!mapping.ok) return mapping.what;
  return mapping.landing.kind === 'routed' ? 'it is routed here' : mapping.landing;
}

async function tryOverIp(
  kind: Exclude<ProbeKind, 'arp'>,
  probing: Probing,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<AnsweredProbe | string> {
  let first: string | undefined;
  let found: AnsweredProbe | undefined;
  const open = new Map<string, Probe>();
  let why: string | undefined;
  const wanted = candidates(kind, targets, probing);
  if (wanted.length === 0) return 'it has link-local addresses only';
  const heard = (key: string) => (): void => {
    first ??= key;
    if (key === first) found?.onAnswer();
  };
  for (const { address, port = 0 } of wanted) {
    const key = `${address} ${port}`;
    const onAnswer = heard(key);
    if (kind === 'tcp') open.set(key, tcpProbe(address, port, onAnswer));
    if (kind === 'http')
      open.set(key, httpProbe(address, port, probing.http?.path ?? '/', onAnswer));
    if (kind !== 'icmp') continue;
    const opened = await openIcmp(address, onAnswer, signal);
    if ('probe' in opened) open.set(key, opened.probe);
    else why ??= opened.why;
  }
  try {
    if (open.size > 0) await untilAnswered([...open.values()], () => first !== undefined, signal);
    const probe = first === undefined ? undefined : open.get(first);
    if (probe !== undefined) found = { probe, onAnswer: () => undefined };
  } finally {
    for (const each of open.values()) if (each !== found?.probe) await each.close();
  }
  if (found !== undefined) return found;
  const said = [...open.values()].map((each) => (each as Partial<TcpProbe>).why);
  return why ?? said.find((each) => each !== undefined) ?? 'no answer';
}

async function untilAnswered(
  probes: readonly Probe[],
  answered: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const until = systemClock.monotonicMs() + ANSWER_MS;
  let askAt = 0;
  while (!answered() && systemClock.monotonicMs() < until) {
    if (systemClock.monotonicMs() >= askAt) {
      askAt = systemClock.monotonicMs() + AGAIN_MS;
      for (const probe of probes) probe.ask();
    }
    await systemClock.sleep(5, signal);
  }
}
