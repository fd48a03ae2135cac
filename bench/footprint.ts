import { connect } from '../src/cli/connection/connect.ts';
import type { AgentSet } from '../src/cli/connection/agent-set.ts';
import { withDeadline } from '../src/deadline.ts';
import { agentsOf } from '../lab/agents.ts';
import { startGuest } from '../lab/guest/start.ts';
import { verifyGuest } from '../lab/guest/talk.ts';
import type { LabProcess } from '../lab/processes.ts';
import type { Lab } from '../lab/state.ts';
import { runningOn } from '../lab/witness/qemus.ts';
import { isEnd, migrationRequest } from '../src/protocol/public/migration.ts';
import type { Bench, BenchOptions, Measure } from './contract.ts';
import { movers, otherHost, untilDirtied, untilQuiet, withLab } from './lab.ts';
import { peaksDuring } from './memory-use.ts';

const GUESTS = ['web1', 'web2', 'web3', 'web4'];
const MIB = 1024 ** 2;
/** As on a data sheet: MB are 10^6 bytes. */
const MB = 1e6;
const DEFAULT_RUNS = 7;
const MOVE_MS = 120_000;

export const footprint: Bench = {
  name: 'footprint',
  summary: 'resident memory of agents and movers with 4 guests of 512 MiB moving at once',
  run: (options) => withLab(options, (lab) => measure(lab, options)),
};

interface Round {
  readonly agentBytes: number;
  readonly moverBytes: number;
  readonly moved: number;
}

async function measure(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const guest = { host: 'a', memoryBytes: 512 * MIB, dirtyBytesPerSecond: 2 * MIB, signal };
  // One after the other: each needs a processor to boot.
  for (const name of GUESTS) await startGuest(lab, { ...guest, name, workingSetBytes: 64 * MIB });
  const fleet = await connect({ lab: lab.name }, process.env);
  const rounds: Round[] = [];
  let host = 'a';
  try {
    for (let run = 0; run < (options.runs ?? DEFAULT_RUNS); run += 1) {
      const to = otherHost(lab, host);
      await untilQuiet(lab, signal);
      const round = await moveAll(lab, fleet, { from: host, to, signal });
      host = to;
      say(describe(round));
      rounds.push(round);
    }
  } finally {
    fleet.close();
  }
  return measures(rounds);
}

async function moveAll(
  lab: Lab,
  fleet: AgentSet,
  {
    from,
    to,
    signal,
  }: { readonly from: string; readonly to: string; readonly signal: AbortSignal },
): Promise<Round> {
  const [first = ''] = GUESTS;
  await untilDirtied(lab, { name: first, dirtyBytesPerSecond: 2 * MIB }, 500, signal);
  const agents = (await Promise.all(lab.hosts.map((host) => agentsOf(lab, host)))).flat();
  const seen = new Set<number>();
  const list = async (): Promise<LabProcess[]> => {
    const now = await movers(lab);
    for (const { pid } of now) seen.add(pid);
    return [...agents, ...now];
  };
  const { peaks } = await peaksDuring(list, async () => {
    await Promise.all(GUESTS.map((guest) => moveOne(fleet, { guest, from, to, signal })));
    await untilQuiet(lab, signal);
  });
  const most = (wanted: (pid: number) => boolean): number =>
    Math.max(...peaks.filter(({ pid }) => wanted(pid)).map(({ bytes }) => bytes));
  if (seen.size < 2 * GUESTS.length) throw new Error(`only ${seen.size} movers were seen`);
  return {
    agentBytes: most((pid) => !seen.has(pid)),
    moverBytes: most((pid) => seen.has(pid)),
    moved: await verified(lab, to, signal),
  };
}

async function moveOne(
  fleet: AgentSet,
  { guest, from, to, signal }: { guest: string; from: string; to: string; signal: AbortSignal },
): Promise<void> {
  const endpoint = fleet.endpoints.find(({ label }) => label === from) ?? fleet.endpoints[0];
  const body = migrationRequest.parse({ guest, to, timeoutMs: MOVE_MS });
  const { id } = await endpoint.api.migrate({ body }, { signal });
  let last = 'nothing';
  const what = (): string => `moving ${guest} to ${to} (${id}): ${last}`;
  await withDeadline('a move', 2 * MOVE_MS, signal, async (inner) => {
    for await (const { phase, error } of endpoint.api.events(
      { params: { id } },
      { signal: inner },
    )) {
      last = `${phase} ${error?.message ?? ''}`;
      if (phase === 'done') return;
      if (isEnd(phase)) throw new Error(what());
    }
    throw new Error(`the agent of ${from} stopped reporting; ${what()}`);
  }).catch((cause: unknown) => {
    throw new Error(what(), { cause });
  });
}

/** How many guests run on `host` alone, with their memory as it was written. */
async function verified(lab: Lab, host: string, signal: AbortSignal): Promise<number> {
  let good = 0;
  for (const guest of GUESTS) {
    const hosts = await runningOn(lab, guest);
    const { ok } = await verifyGuest(lab, guest, { signal });
    if (ok && hosts.length === 1 && hosts[0] === host) good += 1;
  }
  return good;
}

function describe({ agentBytes, moverBytes, moved }: Round): string {
  const mb = (bytes: number): string => `${(bytes / MB).toFixed(1)} MB`;
  return `agent ${mb(agentBytes)}, mover ${mb(moverBytes)}, ${moved} of ${GUESTS.length} verified`;
}

/** The worst of all rounds. */
export function measures(rounds: readonly Round[]): Measure[] {
  const runs = rounds.length;
  const most = (of: (round: Round) => number): number => Math.max(...rounds.map(of));
  return [
    {
      name: 'an agent, at most',
      value: most(({ agentBytes }) => agentBytes / MB),
      unit: 'MB',
      runs,
      target: { atMost: 120 },
    },
    {
      name: 'a mover, at most',
      value: most(({ moverBytes }) => moverBytes / MB),
      unit: 'MB',
      runs,
      target: { atMost: 90 },
    },
    {
      name: 'guests moved and verified, at least',
      value: Math.min(...rounds.map(({ moved }) => moved)),
      unit: `of ${GUESTS.length}`,
      runs,
      target: { atLeast: GUESTS.length },
    },
  ];
}
