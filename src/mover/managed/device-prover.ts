import { randomBytes } from 'node:crypto';
import { migrationSettings } from '../../protocol/public/migration.ts';
import { askAgent } from './ask-agent.ts';
import { deviceQuestion, heldDeviceChecks, type HeldDevicesAsked } from './held-devices.ts';
import type { HostLooksDependencies } from './host-looks.ts';
import type { ProveDevices } from './context.ts';

const ANSWER_MS = 10_000;

/** The destination has no mover of a guest that its manager moves: its agent answers, as it does before a migration. */
export function deviceProver({
  config,
  request: asked,
  connect,
}: HostLooksDependencies): ProveDevices {
  const { peer, request } = asked;
  return async ({ devices, memoryBytes }, order, signal) => {
    const id = `c-${randomBytes(8).toString('hex')}`;
    const { from, to } = order;
    const of = { id, order, memoryBytes, settings: migrationSettings.parse(request) };
    const ask = (): HeldDevicesAsked['ask'] => {
      if (from !== config.name) return `the guest is at ${from}, and this mover at ${config.name}`;
      if (peer === undefined) return `${from} knows no agent of Godwit at ${to}`;
      return async (proofs) => {
        const body = deviceQuestion(of, proofs);
        const { answer } = await askAgent(connect, peer, (api) =>
          api.preflightStorage({ body }, { signal, deadlineMs: ANSWER_MS }),
        );
        return answer.devices ?? [];
      };
    };
    return heldDeviceChecks({ devices, order, id, ask: ask() }, signal);
  };
}
