import { randomBytes } from 'node:crypto';
import type { StorageAnswer } from '../../protocol/peer/migration.ts';
import type { PreflightStorage } from '../../protocol/peer/preflight.ts';
import { migrationSettings, type MigrationSettings } from '../../protocol/public/migration.ts';
import { askAgent } from './ask-agent.ts';
import { heldDeviceChecks, type HeldDevicesAsked } from './held-devices.ts';
import type { HostLooksDependencies } from './host-looks.ts';
import type { ProveDevices } from './context.ts';

const ANSWER_MS = 10_000;

export interface ProverDependencies {
  readonly here: string;
  readonly as: 'agent' | 'mover';
  readonly settings: MigrationSettings;
  /** Asks the destination's agent; undefined if none is known. */
  readonly askThere:
    | ((
        body: PreflightStorage,
        options: { readonly signal: AbortSignal; readonly deadlineMs: number },
      ) => Promise<StorageAnswer>)
    | undefined;
}

/**
 * Proves block devices through the destination's agent, because a managed migration has no mover there. No migration
 * has the question's id, so its answers permit nothing.
 */
export function proverThrough({ here, as, settings, askThere }: ProverDependencies): ProveDevices {
  return async ({ devices, memoryBytes }, order, signal) => {
    const id = `c-${randomBytes(8).toString('hex')}`;
    const { guest, from, to } = order;
    const ask = (): HeldDevicesAsked['ask'] => {
      if (from !== here) return `the guest is at ${from}, and this ${as} at ${here}`;
      if (askThere === undefined) return `${from} knows no agent of Godwit at ${to}`;
      return async (proofs) => {
        const { timeoutMs } = settings;
        const admission = { id, guest, from, memoryBytes, epoch: 1, timeoutMs, settings };
        const body = { admission, proof: { places: [], devices: [...proofs] } };
        return (await askThere(body, { signal, deadlineMs: ANSWER_MS })).devices ?? [];
      };
    };
    return heldDeviceChecks({ devices, order, id, ask: ask() }, signal);
  };
}

export function deviceProver({ config, request, connect }: HostLooksDependencies): ProveDevices {
  const { peer } = request;
  const settings = migrationSettings.parse(request.request);
  const askThere: ProverDependencies['askThere'] =
    peer &&
    (async (body, options) =>
      (await askAgent(connect, peer, (api) => api.preflightStorage({ body }, options))).answer);
  return proverThrough({ here: config.name, as: 'mover', settings, askThere });
}
