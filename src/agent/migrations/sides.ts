import { defined } from '../../protocol/defined.ts';
import { isManagedRequest, type DestinationMoverRequest } from '../../protocol/mover/request.ts';
import type { AgentConfig } from '../../config.ts';
import type { HypervisorStatus } from '../../port/direct.ts';
import type { Driver } from '../../drivers/registry.ts';
import type { GuestHandle } from '../../port/inventory.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { replayDestination, replaySource } from '../../migration/direct/journal.ts';
import { destinationFacts, sourceFacts } from '../../migration/direct/operator/side-facts.ts';
import { readJournals } from '../../host/journal/journal.ts';
import { bootTime } from '../../system/processes/process.ts';
import type { SideView } from '../../protocol/public/resolve.ts';
import type { Caller } from '../../rpc/caller.ts';
import { directDriverOf, lifeOfGuest } from '../processes/hypervisor-life.ts';
import type { MoverProcesses } from '../processes/mover-process.ts';
import type { Migration, MigrationStore } from './store.ts';
import type { Supervisor } from '../processes/supervision.ts';

const LOOK_MS = 5000;

export interface SidesDependencies {
  readonly config: AgentConfig;
  readonly drivers: readonly Driver[];
  readonly store: MigrationStore;
  readonly movers: MoverProcesses;
  readonly supervisor: Supervisor;
  readonly log: Log;
  readonly bootTime?: typeof bootTime;
}

export class Sides {
  readonly #deps: SidesDependencies;

  constructor(deps: SidesDependencies) {
    this.#deps = deps;
  }

  async forPeer(id: string, look: 'journal' | 'hypervisor', caller: Caller): Promise<SideView> {
    checkPartner(this.#deps.store.need(id), caller);
    return this.view(id, look);
  }

  async view(id: string, look: 'journal' | 'hypervisor'): Promise<SideView> {
    const { store } = this.#deps;
    const migration = store.need(id);
    // A damaged record is an error for the caller, never an answer or silence.
    if (migration.damage !== undefined) throw migration.damage.error;
    store.journals(id);
    if (look === 'hypervisor') await this.listen(migration);
    return this.#viewOf(migration, look, store.journals(id));
  }

  /** The journal's view of an unreadable migration, for an operator, if that can be read. */
  async viewOfDamaged(migration: Migration): Promise<SideView> {
    try {
      return await this.#viewOf(migration, 'journal', readJournals(migration.dir));
    } catch {
      const none = { source: [], destination: [], managed: [] };
      const view = await this.#viewOf(migration, 'journal', none);
      return { ...view, hypervisor: 'unknown', unsure: true };
    }
  }

  async #viewOf(
    migration: Migration,
    look: 'journal' | 'hypervisor',
    journals: ReturnType<typeof readJournals>,
  ): Promise<SideView> {
    const { store, config, movers } = this.#deps;
    const { id } = migration;
    const progress = store.progress(id);
    const common = {
      id,
      guest: progress.guest,
      host: config.name,
      phase: progress.phase,
      moverAlive: movers.find(migration) !== undefined,
      ...defined({ error: progress.error }),
    };
    if (migration.request.side === 'source') {
      const state = replaySource(journals.source.map(({ event }) => event));
      const run = await this.#runOf(migration.request.handle, common.moverAlive, look);
      return { ...common, side: 'source', ...sourceFacts(state, run) };
    }
    const events = journals.destination.map(({ event }) => event);
    const state = replayDestination(events);
    const sight = {
      life:
        state?.handle === undefined
          ? 'gone'
          : (await lifeOfGuest(this.#deps.drivers, state.handle)).state,
      armedBootId: events.findLast((event) => event.type === 'armed')?.bootId,
      bootId: (this.#deps.bootTime ?? bootTime)().bootId,
    } as const;
    return { ...common, side: 'destination', ...destinationFacts(state, sight) };
  }

  /** A destination's mover that has taken over has recorded the state of its hypervisor. */
  async listen(migration: Migration): Promise<void> {
    const { store, supervisor, log } = this.#deps;
    const { id, request } = migration;
    if (request.side === 'source' || store.isEnded(id)) return;
    try {
      await supervisor.ensure(migration);
    } catch (thrown) {
      log.warn(
        { id, error: toGodwitError(thrown) },
        'state of the hypervisor unknown: no mover reports it',
      );
    }
  }

  async #runOf(
    handle: GuestHandle,
    moverAlive: boolean,
    look: 'journal' | 'hypervisor',
  ): Promise<HypervisorStatus['run'] | 'unknown'> {
    if ((await lifeOfGuest(this.#deps.drivers, handle)).state === 'gone') return 'gone';
    const driver = directDriverOf(this.#deps.drivers, handle);
    if (look === 'journal' || moverAlive || driver === undefined) return 'unknown';
    const signal = AbortSignal.timeout(LOOK_MS);
    try {
      const session = await driver.openSource(handle, signal);
      try {
        return (await session.status(signal)).run;
      } finally {
        await session.close();
      }
    } catch {
      // A process that cannot be reached may run its guest, unless it is proved gone.
      return (await lifeOfGuest(this.#deps.drivers, handle)).state === 'gone' ? 'gone' : 'unknown';
    }
  }
}

export function peerOf({ id, request }: Migration): DestinationMoverRequest['peer'] {
  if (!isManagedRequest(request)) return request.peer;
  throw godwitError('GODWIT_INTERNAL', {
    what: `${id} has no other side: a manager carries it out`,
  });
}

export function checkPartner({ id, request }: Migration, caller: Caller): void {
  const partner = isManagedRequest(request) ? undefined : request.peer.name;
  if (caller.role === 'agent' && caller.name === partner) return;
  throw godwitError('GODWIT_ROLE_FORBIDDEN', {
    peer: caller.name,
    role: caller.role,
    action: `to ask about ${id}`,
    needs: partner === undefined ? 'nobody else' : `the certificate of ${partner}`,
  });
}
