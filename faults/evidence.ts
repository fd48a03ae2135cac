/** Copies what explains a red cell before its stage is taken down. */
import { copyFile, cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Lab } from '../lab/state.ts';
import { seenQemus } from '../lab/witness/qemus.ts';
import { Monitor } from '../lab/witness/monitor.ts';
import type { PlayResult } from './play.ts';

const QUESTIONS = ['query-status', 'query-migrate', 'query-block-jobs', 'query-named-block-nodes'];

export async function keepEvidence(lab: Lab, played: PlayResult, directory: string): Promise<void> {
  const folder = path.join(directory, played.cell.replaceAll('/', '_'));
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'cell.json'), `${JSON.stringify(played, null, 2)}\n`);
  for (const { host, pid, monitors } of await seenQemus(lab)) {
    const reported = await askAll(monitors.at(-1) ?? '');
    await writeFile(
      path.join(folder, `${host}-qemu-${pid}.json`),
      JSON.stringify(reported, null, 2),
    );
  }
  for (const member of lab.members) {
    await copyFile(member.agentLog, path.join(folder, `${member.name}-agent.log`)).catch(() => {});
    const records = path.join(member.stateDir, 'migrations', played.migration ?? 'none');
    for (const name of await readdir(records).catch((): string[] => [])) {
      if (!/\.(jsonl|json|log)$/.test(name)) continue;
      const copy = path.join(folder, `${member.name}-${name}`);
      await copyFile(path.join(records, name), copy).catch(() => {});
    }
  }
}

/** All that the hosts have written down, of every migration: after many of them it is not known which one matters. */
export async function keepRecords(lab: Lab, directory: string): Promise<void> {
  for (const { name, agentLog, stateDir } of lab.members) {
    const folder = path.join(directory, name);
    await mkdir(folder, { recursive: true });
    await copyFile(agentLog, path.join(folder, 'agent.log')).catch(() => {});
    const from = path.join(stateDir, 'migrations');
    await cp(from, path.join(folder, 'migrations'), {
      recursive: true,
      filter: (file) => !path.basename(file).includes('.') || /\.(jsonl|json|log)$/.test(file),
    }).catch(() => {});
  }
}

/** What a QEMU that is still there says of itself. */
async function askAll(socket: string): Promise<Record<string, unknown>> {
  const monitor = await Monitor.connect(socket);
  const reported: Record<string, unknown> = {};
  for (const question of QUESTIONS) reported[question] = await monitor?.ask(question);
  monitor?.close();
  return reported;
}
