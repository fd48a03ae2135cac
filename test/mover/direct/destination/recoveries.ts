import assert from 'node:assert/strict';
import { godwitError } from '../../../../src/errors.ts';
import type { Fencing } from '../../../../src/host/fencing.ts';
import { silentLog } from '../../../../src/log.ts';
import type { Around } from '../../../../src/mover/direct/destination/recover-guest.ts';
import { destinationMoverRequest } from '../../../../src/protocol/mover/request.ts';
import type { Sighting } from '../../../../src/protocol/peer/sighting.ts';
import { admissionOf } from '../../../protocol/peer/admission.ts';

export const NOW = { bootId: 'boot-1', uptimeMs: 100_000 };

export const OFF: Fencing = { off: true, by: 'power is off' };
export const NOT_OFF: Fencing = { off: false, why: 'its power supply does not answer' };
const nothing = (host: string): Sighting => ({ host, copies: [], moves: [] });

/** What another host of the fleet answers; a word: it does not answer. */
export type Answer =
  | 'has nothing'
  | 'has a copy'
  | 'has an open move'
  | 'has an ended move'
  | 'is silent';

const SEEN: Readonly<Record<Exclude<Answer, 'is silent'>, (host: string) => Sighting>> = {
  'has nothing': nothing,
  'has a copy': (host) => ({ ...nothing(host), copies: [{ state: 'paused' }] }),
  'has an open move': (host) => ({ ...nothing(host), moves: [moveAt(host)] }),
  'has an ended move': (host) => ({ ...nothing(host), moves: [{ ...moveAt(host), ended: true }] }),
};

const moveAt = (host: string) => ({
  id: 'm-00000009',
  side: 'destination' as const,
  from: 'a',
  to: host,
  createdAt: '2026-11-24T10:00:00Z',
  lineage: [],
});

export const CONFIRMED = {
  at: { bootId: 'boot-1', uptimeMs: 1000 },
  number: '0123456789abcdef',
  disks: 'vda: vms/web1.qcow2 (qcow2)',
};

export const asked = (off: string[] = [], confirmed?: typeof CONFIRMED) => {
  const preparation = {
    epoch: 1,
    description: {
      driver: 'fake',
      name: 'web1',
      memoryBytes: 1,
      vcpus: 1,
      hypervisorVersion: '1',
      spec: {},
    },
    stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
  };
  const request = destinationMoverRequest.parse({
    version: 1,
    id: 'm-00000001',
    side: 'destination',
    fromHost: 'a',
    toHost: 'b',
    createdAt: '2026-11-24T10:00:00Z',
    peer: { name: 'a', address: '10.0.0.1:7000' },
    admission: admissionOf(),
    recovery: { preparation, off, ...(confirmed && { confirmed }) },
  });
  return { ...request, recovery: request.recovery ?? assert.fail() };
};

/** What the hook and the other hosts answer to a recovery. */
export interface Scene {
  /** When the proof that a is off has come, since the boot. */
  readonly offAtMs?: number;
  readonly fence?: Readonly<Record<string, Fencing>>;
  readonly others: Readonly<Record<string, Answer>>;
}

/** The surroundings of the mover that recovers; `fenced`: for which hosts the hook was called. */
export function around(
  { fence, others, offAtMs = NOW.uptimeMs }: Scene,
  fenced: string[] = [],
): Around {
  const peers = {
    a: 'a:1',
    ...Object.fromEntries(Object.keys(others).map((host) => [host, host])),
  };
  const connect = (_contract: unknown, host: string) => ({
    api: {
      sighting: async () => {
        const answer = others[host] ?? 'is silent';
        if (answer === 'is silent') {
          const facts = { peer: host, address: host, reason: 'nobody is there' };
          throw godwitError('GODWIT_UNREACHABLE', facts);
        }
        return SEEN[answer](host);
      },
    },
    close: () => undefined,
  });
  return {
    log: silentLog,
    bootTime: () => ({ ...NOW, uptimeMs: offAtMs }),
    connect: connect as unknown as Around['connect'],
    peers: () =>
      Object.fromEntries(
        Object.entries(peers).map(([name, address]) => [name, { address, addresses: [] }]),
      ),
    ...(fence === undefined
      ? {}
      : {
          fence: async (host: string) => {
            fenced.push(host);
            return fence[host] ?? NOT_OFF;
          },
        }),
  };
}
