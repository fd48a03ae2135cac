/** The destination's agent replaced by a newer one while a migration is under way, as a package manager does it. */
import { startAgent, stopAgent } from '../../src/lab/agents.ts';
import { earlierBuild, PREVIOUS } from '../../test/e2e/support/earlier-build.ts';
import type { Injector, Place } from './injector.ts';

/** It begins as the previous build, out of this repository's history; its mover stays what it was. */
export async function upgradeAgent({ lab, to }: Place): Promise<Injector> {
  const previous = earlierBuild(PREVIOUS);
  if (previous === undefined) {
    throw new Error(`this checkout does not have commit ${PREVIOUS}, the previous build`);
  }
  try {
    await stopAgent(lab, to);
    await startAgent(lab, to, undefined, previous.agent);
  } catch (error) {
    previous.remove();
    throw error;
  }
  return {
    strike: async () => {
      await stopAgent(lab, to);
      await startAgent(lab, to);
      return `the agent of ${to} was upgraded from ${PREVIOUS}`;
    },
    clear: async () => {},
    afterwards: async () => {
      await stopAgent(lab, to);
      await startAgent(lab, to);
      previous.remove();
    },
  };
}
