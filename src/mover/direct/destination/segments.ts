import type { AgentConfig } from '../../../config.ts';
import { godwitError, toGodwitError } from '../../../errors.ts';
import { hooksOf } from '../../../host/machine/host-facts.ts';
import { judgeAddresses } from '../../../network/addresses.ts';
import { readNetwork } from '../../../network/host.ts';
import type { Landing } from '../../../network/landing.ts';
import { askSegment } from '../../../network/segment/ask-segment.ts';
import {
  isSettled,
  judgeSegment,
  toAsk,
  type SegmentQuestion,
  type Judgement,
} from '../../../network/segment/judge.ts';
import type { Answer } from '../../../network/segment/frames.ts';
import { openProbePort } from '../../../network/segment/probe-port.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import type { NicNetwork } from '../../../protocol/network.ts';
import type { Preparation } from '../../../protocol/peer/migration.ts';

/** Limit for all NICs together, ms; leaves time for the rest of the step. */
const ASK_MS = 6000;
const HINT =
  'Two machines with one address: give one of them another. Turn proxy ARP off on a router that answers for others; `network.segmentCheck: false` in this host’s configuration leaves the question out.';

/** Asks the segment of a future NIC who answers there; replaceable for tests. */
export type Hear = (
  migrationId: string,
  nic: NicNetwork,
  landing: Exclude<Landing, { kind: 'routed' }>,
  asked: SegmentQuestion,
  signal: AbortSignal,
) => Promise<Answer[]>;

interface Places {
  readonly landings: ReadonlyMap<string, Landing>;
  readonly hear?: Hear;
}

/**
 * Asks the segments of the guest's future NICs, from here, for the guest's addresses and their gateway. A segment
 * that could not be asked does not refuse the migration, and the check reports it.
 */
export async function askSegments(
  config: AgentConfig,
  migrationId: string,
  {
    networks = [],
    description,
  }: Pick<Preparation, 'networks'> & {
    readonly description: Pick<Preparation['description'], 'name'>;
  },
  { landings, hear = hearOverPort }: Places,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]);
  const hooks = await hooksOf(config);
  const checks: NamedCheck[] = [];
  for (const nic of networks) {
    const landing = landings.get(nic.id);
    if (landing === undefined) continue;
    // A routed guest is in no segment.
    const judged =
      landing.kind === 'routed'
        ? undefined
        : await judge(config, nic, landing, within, (asked) =>
            hear(migrationId, nic, landing, asked, within),
          );
    signal.throwIfAborted();
    if (judged !== undefined) checks.push(checkOf(judged, nic, description.name, config.name));
    const kept = judgeAddresses(nic, landing, judged, hooks);
    if (kept !== undefined) checks.push({ name: 'addresses', side: 'destination', ...kept });
  }
  return checks;
}

async function judge(
  config: AgentConfig,
  nic: NicNetwork,
  landing: Exclude<Landing, { kind: 'routed' }>,
  signal: AbortSignal,
  hear: (asked: SegmentQuestion) => Promise<Answer[]>,
): Promise<Judgement> {
  const notTried = (why: string): Judgement => ({
    verdict: 'pass',
    notTried: true,
    what: `not tried: ${why}`,
  });
  if (!config.network.segmentCheck) return notTried('as this host is configured');
  const { bridge } = landing;
  try {
    const asked = toAsk(nic, bridge, await readNetwork({ ports: [bridge] }, signal));
    if (asked.addresses.length === 0)
      return notTried('neither host knows an address of the guest there');
    return judgeSegment(nic.mac, bridge, asked, await hear(asked));
  } catch (thrown) {
    return notTried(toGodwitError(thrown).message);
  }
}

const hearOverPort: Hear = async (migrationId, { mac }, landing, asked, signal) => {
  const port = await openProbePort(migrationId, landing, signal);
  try {
    const questions = [...asked.addresses, ...asked.gateways].map((address) => ({ address }));
    return await askSegment(port, questions, (heard) => isSettled(mac, asked, heard), signal);
  } finally {
    await port.close();
  }
};

function checkOf(
  { verdict, notTried, what }: Judgement,
  { id }: NicNetwork,
  guest: string,
  host: string,
): NamedCheck {
  const tried = notTried === undefined ? {} : { notTried };
  const check = { name: 'segment', side: 'destination', verdict, ...tried } as const;
  const evidence = `${id}: ${what}`.slice(0, 4096);
  if (verdict !== 'refuse') return { ...check, evidence };
  const facts = { device: id, guest, host, what };
  const error = godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint: HINT }).toJSON();
  return { ...check, evidence, error };
}
