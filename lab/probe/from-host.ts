import { systemClock } from '../../src/clock.ts';
import { godwitError } from '../../src/errors.ts';
import { didYouMean } from '../../src/protocol/nearest.ts';
import type { Attachment, NicNetwork } from '../../src/protocol/network.ts';
import { probing } from '../../src/protocol/peer/probe.ts';
import type { ProbeKind, ProbeReport } from '../../src/protocol/public/probe.ts';
import { inHost } from '../entry.ts';
import { labEnvironment } from '../environment.ts';
import { ovsEnvironment } from '../openvswitch.ts';
import { labGuest } from '../guest/registry.ts';
import { HOST_BRIDGE, LAB_VLAN } from '../plan.ts';
import type { Lab } from '../state.ts';
import { runningOn } from '../witness/qemus.ts';

/** The watch outlives what it is asked for by so long, ms; it is ended before. */
const SPARE_MS = 30_000;
const MTU = 1500;

export interface ProbeRequest {
  /** A host of the lab, or `client`; default: the first host that the guest does not run on. */
  readonly from?: string | undefined;
  readonly kind?: ProbeKind | 'auto' | undefined;
  /** For TCP, or HTTP. */
  readonly port?: number | undefined;
  /** Counted from when the guest has answered first. */
  readonly forMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Watches a guest of the lab from one of its hosts, by the process that agents use for it. Ends early on the signal, and
 * leaves nothing behind. GODWIT_GUEST_UNKNOWN, GODWIT_USAGE.
 */
export async function watchFrom(
  lab: Lab,
  name: string,
  { from, kind, port, forMs, signal }: ProbeRequest,
): Promise<ProbeReport> {
  const guest = await labGuest(lab, name);
  const host = from === undefined ? await anotherHost(lab, name) : place(lab, from);
  // Only who watches pays for what that takes.
  const { watcherProcess } = await import('../../src/agent/processes/watcher-process.ts');
  const { probeReportOf } = await import('../../src/migration/report/probes.ts');
  const ports = port === undefined ? {} : { ports: [port], http: { port } };
  const http = kind === 'http' && port === undefined ? { http: {} } : {};
  const { mac, address } = guest;
  const nic: NicNetwork = { id: 'net0', mac, port: 'tap', addresses: [address], ...attached(lab) };
  const watcher = watcherProcess(
    {
      verb: 'watch',
      owner: `lab ${process.pid}`,
      nics: [nic],
      bridges: {},
      probing: probing.parse({ kind, ...ports, ...http }),
      leaseMs: forMs + SPARE_MS,
    },
    (argv) => inHost(lab, host, argv),
    { ...labEnvironment(lab), ...ovsEnvironment(lab, host) },
  );
  try {
    await untilBegun(watcher.begun, signal);
    await systemClock.sleep(forMs, signal);
  } catch (thrown) {
    // What was seen until then is worth as much.
    if (signal?.aborted !== true) throw thrown;
  }
  const result = await watcher.end();
  await watcher.gone;
  return probeReportOf(host, result, forMs);
}

async function untilBegun(begun: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return begun;
  const stop = Promise.withResolvers<never>();
  const onAbort = (): void => stop.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([begun, stop.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function anotherHost(lab: Lab, guest: string): Promise<string> {
  const here = await runningOn(lab, guest);
  return lab.hosts.find((host) => !here.includes(host)) ?? 'client';
}

function place(lab: Lab, from: string): string {
  const places = [...lab.hosts, 'client'];
  if (places.includes(from)) return from;
  const hint = `${didYouMean(from, places) ?? ''} Choose from ${places.join(', ')}.`.trim();
  throw godwitError('GODWIT_USAGE', { what: `lab ${lab.name} has no host ${from}` }, { hint });
}

/** As its source would report it; of guests in VLANs, those in the lab's own. */
function attached({ network }: Lab): { readonly attachment: Attachment } {
  const bridged = { bridge: HOST_BRIDGE, mtu: MTU };
  const vlan = { mode: 'access', tag: LAB_VLAN } as const;
  const quiet = { routes: [], gateways: [], proxyArp: false, proxyNdp: false };
  switch (network) {
    case 'routed':
      return { attachment: { kind: 'routed', mtu: MTU, mac: '02:00:00:00:00:00', ...quiet } };
    case 'ovs':
      return { attachment: { kind: 'ovs', ...bridged, vlan } };
    case 'vlan':
      return { attachment: { kind: 'bridge', ...bridged, vlan } };
    case 'bridge':
    case 'vxlan':
    case undefined:
      return { attachment: { kind: 'bridge', ...bridged } };
  }
}
