import { toGodwitError } from '../../errors.ts';
import type { ModeHeard } from '../requests/maintenance-mode.ts';
import type { AgentClients } from './agent-clients.ts';
import { isSilence } from './is-silence.ts';
import type { ModeCalls } from './ports.ts';

/** Twice the agent's own deadline for its manager. */
const ANSWER_MS = 60_000;

export function modeCalls(clients: Pick<AgentClients, 'at'>): ModeCalls {
  return {
    ask: async (call, { ask }): Promise<ModeHeard> => {
      const host = ask.hosts[0] ?? '';
      const api = clients.at(host);
      if (api === undefined) return { of: 'silent' };
      const params = { host };
      const options = { deadlineMs: ANSWER_MS };
      try {
        switch (call) {
          case 'enter': {
            const body = { stopped: ask.stopped === true };
            return {
              of: 'sight',
              sight: await api.enterMaintenanceMode({ params, body }, options),
            };
          }
          case 'look':
            return { of: 'sight', sight: await api.maintenanceMode({ params }, options) };
          case 'leave':
            return { of: 'sight', sight: await api.leaveMaintenanceMode({ params }, options) };
        }
      } catch (thrown) {
        if (isSilence(thrown)) return { of: 'silent' };
        return { of: 'refused', error: toGodwitError(thrown).toJSON() };
      }
    },
  };
}
