/** Copies what tells of a red cell before its stage is taken down. */
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Lab } from '../src/lab/state.ts';
import type { Played } from './play.ts';

export async function keepEvidence(lab: Lab, played: Played, directory: string): Promise<void> {
  const folder = path.join(directory, played.cell.replaceAll('/', '_'));
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'cell.json'), `${JSON.stringify(played, null, 2)}\n`);
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
