/** Processes killed and frozen. */
import { startAgent, agentsOf, stopAgent } from '../../lab/agents.ts';
import { signalProcess } from '../../lab/processes.ts';
import type { Scene } from '../scene.ts';
import type { Injector, FaultSite } from './injector.ts';

export function killMover(
  side: 'source' | 'destination',
): Injector<Pick<Scene, 'source' | 'destination'>> {
  return {
    strike: async (scene) => signalled(scene[side].moverPid(), 'SIGKILL', `the ${side}'s mover`),
    clear: async () => {},
  };
}

export function freezeMover(side: 'source' | 'destination'): Injector {
  let frozen: number | undefined;
  return {
    strike: async (scene) => {
      frozen = scene[side].moverPid();
      return signalled(frozen, 'SIGSTOP', `the ${side}'s mover`);
    },
    clear: async () => {
      if (frozen !== undefined) signalProcess(frozen, 'SIGCONT');
      frozen = undefined;
    },
  };
}

export function killQemu(side: 'source' | 'destination'): Injector {
  return {
    strike: async ({ witness, from, to }) => {
      const host = side === 'source' ? from : to;
      const struck = signalled(witness.pid(host), 'SIGKILL', `the ${side}'s QEMU`);
      witness.ended(host);
      return struck;
    },
    clear: async () => {},
  };
}

/** Its service manager starts it again: here that is `clear`. */
export async function killAgent({ lab }: FaultSite, host: string): Promise<Injector<unknown>> {
  const pids = (await agentsOf(lab, host)).map(({ pid }) => pid);
  let killed = false;
  return {
    strike: async () => {
      killed = true;
      return signalled(pids[0], 'SIGKILL', `the agent of ${host}`);
    },
    clear: async () => {
      if (!killed) return;
      killed = false;
      await stopAgent(lab, host, 'SIGKILL');
      await startAgent(lab, host);
    },
  };
}

function signalled(pid: number | undefined, signal: 'SIGKILL' | 'SIGSTOP', what: string): string {
  if (pid === undefined) throw new Error(`${what} was not there to be hit`);
  signalProcess(pid, signal);
  return `${signal} to ${what}, pid ${pid}`;
}
