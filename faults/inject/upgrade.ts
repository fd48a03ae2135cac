/** The destination's agent replaced by a newer one while a migration is under way, as a package manager does it. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import type { AgentConfigInput } from '../../src/config.ts';
import { labHost } from '../../lab/state.ts';
import { asBefore, earlierBuild, PREVIOUS } from '../../test/e2e/support/earlier-build.ts';
import type { Injector, FaultSite } from './injector.ts';

/** It begins as the previous build, out of this repository's history; its mover stays what it was. */
export async function upgradeAgent({ lab, to }: FaultSite): Promise<Injector> {
  const previous = earlierBuild(PREVIOUS);
  if (previous === undefined) {
    throw new Error(`this checkout does not have commit ${PREVIOUS}, the previous build`);
  }
  const { configFile, stateDir } = labHost(lab, to);
  const config = await readFile(configFile, 'utf8');
  const startThis = async (): Promise<void> => {
    await stopAgent(lab, to);
    await writeFile(configFile, config);
    await startAgent(lab, to);
  };
  try {
    await stopAgent(lab, to);
    // Records of earlier cells can hold errors that the previous build does not know. It takes them for damage, and keeps
    // the guest's name for the migration that they are of. A host that is upgraded has none of them.
    await rm(path.join(stateDir, 'migrations'), { recursive: true, force: true });
    await writeFile(configFile, JSON.stringify(asBefore(JSON.parse(config) as AgentConfigInput)));
    await startAgent(lab, to, undefined, previous.agent);
  } catch (error) {
    await writeFile(configFile, config);
    previous.remove();
    throw error;
  }
  return {
    strike: async () => {
      await startThis();
      return `the agent of ${to} was upgraded from ${PREVIOUS}`;
    },
    clear: async () => {},
    afterwards: async () => {
      await startThis();
      previous.remove();
    },
  };
}
