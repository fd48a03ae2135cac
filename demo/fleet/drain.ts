import { streamModeOf } from '../../src/protocol/public/migration.ts';
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../src/clock.ts';
import { withDeadline } from '../../src/deadline.ts';
import { toGodwitError, type SerialError } from '../../src/errors.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import type { Probe } from '../../lab/probe/probe.ts';
import type { Lab } from '../../lab/state.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import {
  isRequestEnd,
  type Move,
  type FleetRequest,
} from '../../src/protocol/controller/fleet-request.ts';
import { isFine, judgeMove, type GuestWord } from '../outcome.ts';
import type { FleetController } from './controller.ts';
import type { DrainedGuest } from './outcome.ts';

const DRAIN_DEADLINE_MS = 300_000;
const LOOK_MS = 250;
const SETTLE_MS = 60_000;

/** A guest whose connection a client watches while its host is drained. */
export interface WatchedGuest {
  readonly name: string;
  readonly probe: Probe;
}

export interface Drain {
  readonly request: FleetRequest;
  /** In the order in which they came to their end. */
  readonly guests: readonly DrainedGuest[];
}

interface Draining {
  readonly lab: Lab;
  readonly controller: FleetController;
  readonly watched: readonly WatchedGuest[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

/** Asks the controller to drain `host`, follows that to its end, and looks at each guest as it arrives. */
export async function drainHost(host: string, draining: Draining): Promise<Drain> {
  const { lab, controller, watched, clock, signal, say } = draining;
  const { api } = controller.client;
  const before = new Map<string, GuestWord>();
  for (const { name } of watched) before.set(name, await wordOf(lab, name, signal));
  await Promise.all(watched.map(({ probe }) => probe.mark()));
  const params = { id: `r-${randomUUID().replaceAll('-', '').slice(0, 12)}` };
  await api.putRequest({ params, body: { kind: 'drain', hosts: [host] } });
  const begun = new Set<string>();
  const ended = new Set<string>();
  const guests: DrainedGuest[] = [];
  const look = async (inner: AbortSignal): Promise<FleetRequest> => {
    const { request, moves } = await api.request({ params });
    for (const move of moves) {
      if (move.phase === 'running' && !begun.has(move.id)) {
        begun.add(move.id);
        say(`${move.guest}: ${move.from} → ${move.to}`);
      }
      if (!move.settled || ended.has(move.id)) continue;
      ended.add(move.id);
      const seen = watched.find(({ name }) => name === move.guest);
      const word = before.get(move.guest);
      if (seen === undefined || word === undefined) continue;
      const result = await lookAt(move, {
        ...draining,
        signal: inner,
        probe: seen.probe,
        before: word,
      });
      say(`${move.guest}: ${isFine(result) ? `arrived on ${move.to}` : result.outcome}`);
      guests.push({ guest: move.guest, result });
    }
    return request;
  };
  const request = await withDeadline('the drain', DRAIN_DEADLINE_MS, signal, async (inner) => {
    for (;;) {
      const seen = await look(inner);
      if (isRequestEnd(seen.phase)) return seen;
      await clock.sleep(LOOK_MS, inner);
    }
  });
  return { request, guests };
}

async function wordOf(lab: Lab, name: string, signal: AbortSignal): Promise<GuestWord> {
  const memory = await verifyGuest(lab, name, { signal });
  return { memory, stats: await readGuestStats(lab, name, { signal }) };
}

interface Looking extends Draining {
  readonly probe: Probe;
  readonly before: GuestWord;
}

/** What the controller, the client, the guest and QEMU say of a move that has ended. */
async function lookAt(move: Move, looking: Looking): Promise<DrainedGuest['result']> {
  const { lab, controller, probe, before, signal } = looking;
  const errors: SerialError[] = [];
  const attempt = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      signal.throwIfAborted();
      errors.push(toGodwitError(error).toJSON());
      return undefined;
    }
  };
  const client = await attempt(probe.settle(SETTLE_MS, signal));
  const kept = await attempt(controller.client.api.migration({ params: { id: move.id } }));
  const after = await attempt(wordOf(lab, move.guest, signal));
  return judgeMove({
    mode: streamModeOf(kept?.report?.mode ?? 'precopy'),
    from: move.from,
    to: move.to,
    report: kept?.report,
    before,
    after,
    client,
    runningOn: await runningOn(lab, move.guest),
    errors,
  });
}
