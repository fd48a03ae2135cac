import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { agentsOf } from '../lab/agents.ts';
import { runCommand } from '../lab/command.ts';
import { inHost } from '../lab/entry.ts';
import type { Lab, LabHost } from '../lab/state.ts';
import { hostCensus, type HostCensus } from '../lab/witness/census.ts';
import { socketsOf, type HostTally } from './tally-compare.ts';

/** Counts everything that a move could leave behind, on every host. */
export async function takeTally(lab: Lab): Promise<HostTally[]> {
  return Promise.all(lab.members.map((member) => tallyOf(lab, member)));
}

async function tallyOf(lab: Lab, member: LabHost): Promise<HostTally> {
  const [census, agents, sockets]: [HostCensus, Awaited<ReturnType<typeof agentsOf>>, string] =
    await Promise.all([
      hostCensus(lab, member.name, { records: true }),
      agentsOf(lab, member.name),
      runCommand(inHost(lab, member.name, ['cat', '/proc/net/tcp', '/proc/net/unix'])),
    ]);
  const descriptors = await Promise.all(
    agents.map(async ({ pid }) => (await readdir(path.join('/proc', String(pid), 'fd'))).length),
  );
  return {
    host: member.name,
    processes: census.processes,
    taps: census.taps,
    files: census.files,
    agentDescriptors: descriptors.reduce((sum, count) => sum + count, 0),
    ...socketsOf(sockets),
  };
}
