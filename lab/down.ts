import type { LabEntry } from './entry.ts';
import {
  entryAlive,
  existingNamespaces,
  namespaceInodes,
  processesOf,
  removeNamespaces,
} from './namespaces.ts';
import { removeContainers } from './container/places.ts';
import { removePodmanCgroups } from './podman/hosts.ts';
import { endProcesses, signalProcess } from './processes.ts';
import { type LabState, readLabState, removeLabDirectory } from './state.ts';
import { labDirectory } from '../src/cli/connection/labs.ts';

/**
 * Takes a lab down: ends every process in its namespaces (agents, movers, guests, whatever a
 * migration or a user started there), removes the namespaces with all their links and taps, and the
 * lab's directory. Whatever state it is in, half-built or half-removed; false when there was nothing.
 */
export async function labDown(name = 'lab'): Promise<boolean> {
  const dir = labDirectory(name);
  const state = await readLabState(name).catch(() => undefined);
  const entry = await usableEntry(state);
  const existing = entry === undefined ? [] : await existingNamespaces(entry, name);
  if (state === undefined && existing.length === 0) {
    await removeLabDirectory(name);
    return false;
  }
  await endProcesses(async () => {
    // Looked up each time: a process that is ending may still start another.
    const named = entry === undefined ? {} : await namespaceInodes(entry, existing);
    return processesOf(dir, named, state?.namespaces ?? {});
  });
  await removePodmanCgroups(name);
  await removeContainers(name, dir);
  if (entry !== undefined) await removeNamespaces(entry, existing);
  if (entry?.kind === 'user') await endHolder(entry);
  await removeLabDirectory(name);
  return true;
}

/** Where no state shows how to enter, root can still look for namespaces by their names. */
async function usableEntry(state: LabState | undefined): Promise<LabEntry | undefined> {
  const fallback: LabEntry | undefined = process.getuid?.() === 0 ? { kind: 'root' } : undefined;
  const entry = state?.entry ?? fallback;
  return entry !== undefined && (await entryAlive(entry)) ? entry : undefined;
}

async function endHolder(entry: Extract<LabEntry, { kind: 'user' }>): Promise<void> {
  const holder = { pid: entry.holderPid, startTicks: entry.holderStartTicks };
  signalProcess(holder.pid, 'SIGTERM');
  await endProcesses(async () => ((await entryAlive(entry)) ? [holder] : []));
}
