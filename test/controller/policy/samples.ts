import { LOOK_MS, type FleetLook } from '../../../src/controller/inventory/guest-looks.ts';
import { Loads } from '../../../src/controller/policy/loads.ts';
import {
  policySettings,
  type Policy,
  type Proposal,
} from '../../../src/protocol/controller/policy.ts';
import { NOW } from '../requests/worlds.ts';

/** Hosts of 16 cores, each with its guests and the cores that these use; `others`: what else uses the host. */
export function lookAt(
  at: number,
  hosts: Readonly<Record<string, Readonly<Record<string, number>>>>,
  others = 0,
): FleetLook {
  return {
    atMs: NOW + at * LOOK_MS,
    hosts: new Map(
      Object.entries(hosts).map(([name, guests]) => {
        const used = Object.values(guests).reduce((sum, each) => sum + each, others);
        return [name, { used: Math.min(1, used / 16), pressure: 0, cores: 16, guests }];
      }),
    ),
  };
}

export function loadsOf(looks: readonly FleetLook[]): Loads {
  const loads = new Loads(LOOK_MS);
  for (const look of looks) loads.add(look);
  return loads;
}

export const policyOf = (more: Partial<Policy> = {}): Policy => ({
  kind: 'balance',
  scope: 'fleet',
  ...policySettings.parse({ mode: 'propose' }),
  setBy: 'test',
  setAtMs: NOW,
  ...more,
});

export const proposalOf = (more: Partial<Proposal> = {}): Proposal => ({
  id: 'p-00000001',
  kind: 'balance',
  scope: 'fleet',
  run: 'r',
  state: 'open',
  reason: 'contention',
  words: 'a has too much',
  moves: [
    {
      guest: 'g1',
      from: 'a',
      to: 'b',
      words: 'it is the one',
      cost: { bytes: 1, seconds: 1, downtimeMs: 1 },
      alternatives: [],
    },
  ],
  benefit: { processorSeconds: 100 },
  cost: { bytes: 1, seconds: 1, downtimeMs: 1 },
  createdAtMs: NOW,
  confirmedAtMs: NOW,
  expiresAtMs: NOW + 3 * LOOK_MS,
  requests: [],
  ...more,
});
