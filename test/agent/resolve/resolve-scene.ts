import type { TestContext } from 'node:test';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { Resolve, type ResolveDependencies } from '../../../src/agent/resolve/resolve.ts';
import { systemClock } from '../../../src/clock.ts';
import { godwitError } from '../../../src/errors.ts';
import { openSourceJournal, readJournals } from '../../../src/host/journal/journal.ts';
import { silentLog } from '../../../src/log.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import type { MoverRequest } from '../../../src/protocol/mover/request.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';
import type { SideView } from '../../../src/protocol/public/resolve.ts';
import { openJournalFile } from '../../../src/system/journal-file.ts';
import { ownIdentity } from '../../../src/system/processes/process.ts';
import { admissionOf, planned } from '../../migration/direct/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';

/** Held migrations of host a: two from a to b and to evil, and one that came from b. */
export const TO_B = 'm-00000001';
export const TO_EVIL = 'm-00000002';
export const FROM_B = 'm-00000003';
export const GUESTS = { [TO_B]: 'web1', [TO_EVIL]: 'web2', [FROM_B]: 'web3' } as const;
type Id = keyof typeof GUESTS;

export const b = { role: 'agent', name: 'b' } as const;
export const evil = { role: 'agent', name: 'evil' } as const;
export const back = { runAt: 'source', by: 'x' } as const;
/** Of a caller that waits for the answer. */
export const signal: AbortSignal = new AbortController().signal;

const dark = godwitError('GODWIT_UNREACHABLE', { peer: 'b', address: 'b:1', reason: 'dark' });
const did = (step: string, facts = {}): SourceEvent =>
  ({ type: 'did', step, facts }) as unknown as SourceEvent;
const HELD: SourceEvent = { type: 'failed', step: 'commit', error: dark.toJSON() };
const BEFORE: SourceEvent[] = [
  did('admit', { moverAddress: 'b:7001' }),
  ...['inspect', 'assess'].map((step) => did(step)),
  did('prepare', { memoryAddress: 'b:49152', tlsHostname: 'b' }),
  ...['configure', 'arm'].map((step) => did(step)),
  { type: 'hypervisor', event: { type: 'completed' } },
  HELD,
];
/** An order that was carried out and led nowhere. */
export const ANOTHER_ORDER: SourceEvent[] = [
  { type: 'resolved', runAt: 'destination', proof: 'ask', by: 'bob', here: 'handed-over' },
  HELD,
];

function viewOf(id: Id, side: SideView['side'], host: string): SideView {
  const no = { postcopy: false, unsure: false, moverAlive: false };
  const view = { id, guest: GUESTS[id], host, side, phase: 'held', complete: true, ...no } as const;
  if (side === 'source') return { ...view, right: 'committing', hypervisor: 'handed-over' };
  return { ...view, right: 'armed', hypervisor: 'paused', hasRun: false };
}

interface SceneOptions {
  /** Runs each time that the other host of a migration is asked. */
  readonly asked?: (id: Id, signal?: AbortSignal) => Promise<void> | void;
  /** The other host answers; by default it has not run the guest. */
  readonly isDark?: boolean;
  /** The wall clock, as far as it is ahead of the journals' records. */
  readonly aheadMs?: () => number;
  readonly fence?: ResolveDependencies['fence'];
  readonly takeUp?: () => Promise<never>;
}

export async function scene(t: TestContext, options: SceneOptions = {}) {
  const { isDark = false, aheadMs = () => 0, fence } = options;
  const clock = { ...systemClock, wallMs: () => Date.now() + aheadMs() };
  const store = new MigrationStore(tempDir(t), 'a', clock);
  const append = async (id: Id, events: readonly SourceEvent[]): Promise<void> => {
    const { journal } = openSourceJournal(store.need(id).dir, systemClock);
    for (const event of events) await journal.append(event, 'later');
    await journal.close();
  };
  for (const [id, to] of [
    [TO_B, 'b'],
    [TO_EVIL, 'evil'],
  ] as const) {
    store.add(requestTo(id, to));
    await append(id, [{ ...planned(), id, to, guest: GUESTS[id] }, ...BEFORE]);
  }
  store.add(requestFromB());
  const asked: Id[] = [];
  const started: string[] = [];
  const peers = {
    side: async (host: string, id: Id, given?: AbortSignal) => {
      asked.push(id);
      await options.asked?.(id, given);
      if (isDark) return { unreachable: 'no answer', isDark };
      return { view: viewOf(id, id === FROM_B ? 'source' : 'destination', host) };
    },
    sightings: async () => ({ sightings: [], unasked: [] }),
    takeUp: options.takeUp,
  };
  const deps = {
    config: { name: 'a' },
    clock,
    log: silentLog,
    store,
    guests: { drivers: [], look: async () => [] },
    movers: { find: () => undefined },
    supervisor: { again: () => {}, ensure: async ({ id }: { id: string }) => started.push(id) },
    peers,
    sides: {
      listen: async () => {},
      view: async (id: Id) => viewOf(id, id === FROM_B ? 'destination' : 'source', 'a'),
    },
    fence,
    around: {
      bootTime: () => ({ bootId: 'boot-1', uptimeMs: 1 }),
      openFile: openJournalFile,
      hold: async () => ({ release: () => {} }),
      connectMover: () => {
        throw new Error('no order of these tests is for a mover');
      },
    },
  };
  const resolve = new Resolve(deps as unknown as ResolveDependencies);
  return {
    resolve,
    store,
    append,
    /** Migrations whose other host was asked. */
    asked,
    /** Migrations that got a mover. */
    started,
    orders: (id: Id) =>
      readJournals(store.need(id).dir).source.filter(({ event }) => event.type === 'resolved')
        .length,
    /** An operator who insists, after a look at what there is to answer for. */
    order: async (id: Id, given: AbortSignal = signal) => {
      const { inDoubt } = await resolve.show(id);
      const confirm = GUESTS[id];
      const order = { runAt: 'source', confirm, iKnow: true, answersFor: inDoubt } as const;
      return resolve.resolve(id, order, 'ann', given);
    },
  };
}

/** After the hosts' state was made. */
const createdAt = '2100-01-01T00:00:00.000Z';

function requestTo(id: Id, to: string): MoverRequest {
  const guest = GUESTS[id];
  const handle = { driver: 'fake', name: guest, monitor: 'm', ...ownIdentity() };
  const request = migrationRequest.parse({ guest, to });
  const peer = { name: to, address: `${to}:1` };
  const common = { version: 1, id, fromHost: 'a', toHost: to, createdAt } as const;
  return { ...common, side: 'source', peer, handle, memoryBytes: 1, request };
}

function requestFromB(): MoverRequest {
  const [id, guest, from, to] = [FROM_B, GUESTS[FROM_B], 'b', 'a'];
  const admission = { ...admissionOf(planned()), id, guest, from };
  const peer = { name: from, address: `${from}:1` };
  const common = { version: 1, id, fromHost: from, toHost: to, createdAt } as const;
  return { ...common, side: 'destination', peer, admission };
}

/** Holds each call up until `let on`, and tells of it. */
export function gate() {
  const came = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  const pass = (): Promise<void> => {
    came.resolve();
    return open.promise;
  };
  return { pass, came: came.promise, open: () => open.resolve() };
}
