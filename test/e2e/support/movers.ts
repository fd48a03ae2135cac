/** The movers of a migration, as processes on the lab's hosts. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { isAlive } from '../../../src/system/processes/process.ts';
import { signalProcess } from '../../../lab/processes.ts';
import { labHost } from '../../../lab/state.ts';
import { moverState, type MoverState } from '../../../src/protocol/mover/request.ts';
import { until } from '../../until.ts';
import type { World } from './world.ts';

/** The process that last moved migration `id` on a host. */
export function moverOf({ lab }: World, host: string, id: string): MoverState {
  const file = path.join(labHost(lab, host).stateDir, 'migrations', id, 'mover.json');
  return moverState.parse(JSON.parse(readFileSync(file, 'utf8')));
}

/** Kills it as the kernel does when memory runs out, and waits until it is gone. */
export async function killMover(world: World, host: string, id: string): Promise<void> {
  const mover = moverOf(world, host, id);
  signalProcess(mover.pid, 'SIGKILL');
  await until('the mover to be gone', 5000, async () => (isAlive(mover) ? undefined : true));
}

/** What the source's mover has written down; nothing before it has begun. */
export async function sourceJournal({ lab }: World, host: string, id: string): Promise<string> {
  const { stateDir } = labHost(lab, host);
  const file = path.join(stateDir, 'migrations', id, 'journal-source.jsonl');
  return readFile(file, 'utf8').catch(() => '');
}
