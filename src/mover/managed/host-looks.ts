import type { AgentConfig } from '../../config.ts';
import { allDrivers } from '../../drivers/registry.ts';
import { godwitError } from '../../errors.ts';
import type { ManagedMoverRequest } from '../../protocol/mover/request.ts';
import type { Connect } from '../shared/surroundings.ts';
import { askAgent } from './ask-agent.ts';
import type { HostLooks } from './verification.ts';

export interface HostLooksDependencies {
  readonly config: AgentConfig;
  readonly request: ManagedMoverRequest;
  readonly connect: Connect;
}

/** Checks the disks of a guest whose manager is part of both hosts; the kernel of each host reports the writers. */
export function hostLooks({ config, request, connect }: HostLooksDependencies): HostLooks {
  const { id, peer, fromHost: from, toHost, handle } = request;
  const query = { guest: request.request.guest, from, driver: handle.driver };
  return {
    askThere: async (signal) => {
      if (peer === undefined) {
        const reason = `${from} knows no agent of Godwit at ${toHost}`;
        throw godwitError('GODWIT_CAPABILITY', { what: 'a look from there', reason });
      }
      const { answer } = await askAgent(connect, peer, (api) =>
        api.arrival({ params: { id }, query }, { signal }),
      );
      return answer.checks;
    },
    // The driver that finds hypervisors is not the manager's.
    writersHere: async (files, signal) => {
      const drivers = await allDrivers(config);
      const looker = drivers.find((driver) => driver.diskWriters !== undefined);
      return looker?.diskWriters?.(files, signal);
    },
  };
}
