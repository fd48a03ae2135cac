import { mayBeElsewhere } from '../src/agent/guests/guests.ts';
import type { FakeWorld } from './fake/world.ts';
import { passedMs } from '../src/migration/boot-time.ts';
import { HEARTBEAT_MS, MAX_UNCONFIRMED_MS } from '../src/migration/standby/freshness.ts';
import { admission, preparation } from '../src/protocol/peer/migration.ts';
import type { SimHost } from './host.ts';
import { HOSTS, type HostName } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';

export interface RecoveryDependencies {
  readonly scheduler: Scheduler;
  readonly world: FakeWorld;
  readonly hosts: Readonly<Record<HostName, SimHost>>;
}

/**
 * Every host is a standby of every other one. A host that runs the guest, and has no open migration of it, confirms its
 * description every 10 s. The descriptions' files and their own checks are not part of this.
 */
export class Recoveries {
  readonly #deps: RecoveryDependencies;
  #begun = 0;

  constructor(deps: RecoveryDependencies) {
    this.#deps = deps;
  }

  start(): void {
    this.#beat();
  }

  #beat(): void {
    const { scheduler, world, hosts } = this.#deps;
    for (const from of HOSTS) {
      const runs = world.runningAt('web1').includes(from);
      if (!runs || mayBeElsewhere(hosts[from].store.asStore, 'web1')) continue;
      for (const host of HOSTS) if (host !== from && hosts[host].up) hosts[host].keep(from);
    }
    scheduler.after(HEARTBEAT_MS, undefined, () => this.#beat());
  }

  /** An operator orders it, who has seen the description's age and insists where it is old. */
  order(name: HostName, from: HostName): boolean {
    const { hosts, world } = this.#deps;
    const host = hosts[name];
    const kept = host.kept.get(from);
    const [first] = world.instances;
    if (!host.up || name === from || kept === undefined || first === undefined) return false;
    const { memoryBytes, dirtyRate, uuid, machine = 'fake-1' } = first.guest;
    const epoch = 2 + this.#begun;
    const id = `m-1000000${this.#begun++}`;
    const settings = { mode: 'cold', path: 'native', timeoutMs: 60_000 };
    const admitted = { id, guest: 'web1', from, memoryBytes, epoch, timeoutMs: 60_000, settings };
    const description = {
      driver: 'fake',
      name: 'web1',
      uuid,
      memoryBytes,
      vcpus: 1,
      hypervisorVersion: '1.0.0',
      spec: { machine, dirtyRate, nics: [] },
    };
    const stream = { mode: 'precopy', streams: 1, compress: 'none', tls: true };
    const ageMs = passedMs(kept.at, host.bootTime()) ?? Infinity;
    const isFresh = ageMs <= MAX_UNCONFIRMED_MS;
    host.recover(admission.parse(admitted), {
      preparation: preparation.parse({ epoch, description, stream }),
      off: HOSTS.filter((each) => each !== name && each !== from && !hosts[each].up),
      keptAt: kept.keptAt,
      ...(isFresh && {
        confirmed: { at: kept.at, number: '0'.repeat(16), disks: 'none', images: [] },
      }),
    });
    return true;
  }
}
