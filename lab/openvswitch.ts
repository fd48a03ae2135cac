import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from './command.ts';
import { inHost } from './entry.ts';
import { labEnvironment } from './environment.ts';
import { HOST_BRIDGE, type LabNetwork } from './plan.ts';
import type { Lab } from './state.ts';

/** An Open vSwitch for each host of a lab, and one for the client: two daemons each, with a database of their own. */

const START_MS = 30_000;

/** Everything of a member's Open vSwitch: database, sockets, pids, logs. */
function ovsDirectory({ dir }: Pick<Lab, 'dir'>, member: string): string {
  return path.join(dir, 'ovs', member);
}

/** By which every tool of Open vSwitch finds a member's own; nothing in other labs. */
export function ovsEnvironment(
  lab: Pick<Lab, 'dir'> & { readonly network?: LabNetwork | undefined },
  member: string,
): Readonly<Record<string, string>> {
  if (lab.network !== 'ovs') return {};
  const own = ovsDirectory(lab, member);
  return { OVS_RUNDIR: own, OVS_LOGDIR: own, OVS_DBDIR: own, OVS_SYSCONFDIR: own };
}

/** The kernel's datapath where it is loaded, else the switch's own, which needs nothing of the kernel. */
function datapath(): string {
  return existsSync('/sys/module/openvswitch') ? 'system' : 'netdev';
}

/** Starts them, each with an empty bridge. They end as all processes in the lab's namespaces do. */
export async function startOvs(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
  if (lab.network !== 'ovs') return;
  await Promise.all([...lab.hosts, 'client'].map((member) => startOne(lab, member, signal)));
}

async function startOne(lab: Lab, member: string, signal: AbortSignal | undefined): Promise<void> {
  const own = ovsDirectory(lab, member);
  await mkdir(own, { recursive: true, mode: 0o700 });
  const { GODWIT_LAB_HOME = '' } = labEnvironment(lab);
  const marks = { ...ovsEnvironment(lab, member), GODWIT_LAB_HOME };
  const words = Object.entries(marks).map(([key, value]) => `${key}=${value}`);
  const run = (...argv: string[]): Promise<string> =>
    runCommand(inHost(lab, member, ['env', ...words, ...argv]), { deadlineMs: START_MS, signal });
  // Each returns once its daemon is at work.
  const daemon = (program: string, ...argv: string[]): Promise<string> => {
    const log = `--log-file=${own}/${program}.log`;
    return run(program, ...argv, '--pidfile', '--detach', '--no-chdir', '-vconsole:off', log);
  };
  const database = path.join(own, 'conf.db');
  await run('ovsdb-tool', 'create', database);
  await daemon('ovsdb-server', database, `--remote=punix:${own}/db.sock`);
  const bridge = ['add-br', HOST_BRIDGE, '--', 'set', 'bridge', HOST_BRIDGE];
  const options = ['--timeout=10', '--no-wait'];
  await run('ovs-vsctl', ...options, 'init', '--', ...bridge, `datapath_type=${datapath()}`);
  await daemon('ovs-vswitchd');
}
