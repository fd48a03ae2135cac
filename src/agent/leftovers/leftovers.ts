import path from 'node:path';
import { directDriverOf } from '../processes/hypervisor-life.ts';
import { hostsOf } from '../../config.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import { removePort } from '../../network/port.ts';
import type { ClearedList, Leftover } from '../../protocol/public/leftover.ts';
import { Mutex } from '../../mutex.ts';
import { collectFacts, type CollectDependencies } from './collect.ts';
import type { GuestFact, HostFacts } from './facts.ts';
import { judgeLeftovers } from './judge.ts';

const CLEAR_MS = 20_000;
const MAX_PASSES = 4;

export interface LeftoversDependencies extends CollectDependencies {
  readonly log: Log;
}

/** Finds what earlier crashes have left on this host, and removes what is certainly not needed. */
export class Leftovers {
  readonly #deps: LeftoversDependencies;
  readonly #mutex = new Mutex();

  constructor(deps: LeftoversDependencies) {
    this.#deps = deps;
  }

  async list(): Promise<Leftover[]> {
    return judgeLeftovers(await collectFacts(this.#deps)).slice(0, 10_000);
  }

  clear(): Promise<ClearedList> {
    return this.#mutex.run(async () => {
      const cleared: Leftover[] = [];
      const failed = new Map<string, ClearedList['left'][number]>();
      // The end of a hypervisor frees its files, so the search repeats while anything is removed.
      for (let pass = 0; pass < MAX_PASSES; pass += 1) {
        const before = cleared.length;
        const safe = (await this.list()).filter((each) => each.safe && !failed.has(nameOf(each)));
        for (const each of safe) {
          try {
            if (await this.#clearOne(each)) cleared.push(each);
          } catch (thrown) {
            failed.set(nameOf(each), { ...each, failed: toGodwitError(thrown).message });
          }
        }
        if (cleared.length === before) break;
      }
      const left = (await this.list()).map((each) => failed.get(nameOf(each)) ?? each);
      return { cleared, left };
    });
  }

  async #clearOne(each: Leftover): Promise<boolean> {
    const facts = await collectFacts(this.#deps);
    if (!isStillSafe(each, judgeLeftovers(facts))) return false;
    await this.#remove(each, facts);
    this.#deps.log.info({ ...each }, 'leftover removed');
    return true;
  }

  async #remove({ kind, what, guest, migration }: Leftover, facts: HostFacts): Promise<void> {
    const signal = AbortSignal.timeout(CLEAR_MS);
    switch (kind) {
      case 'tap':
        await removePort(what, signal);
        return;
      case 'hypervisor': {
        const found = facts.guests.find(({ pid, name }) => {
          return name === guest && what === `process ${pid}`;
        });
        if (found !== undefined) await this.#end(found, signal);
        return;
      }
      case 'migration-directory':
        await this.#removeWithin('migrations', what);
        if (migration !== undefined) this.#deps.store.drop(migration);
        return;
      case 'guest-directory':
        for (const driver of this.#deps.drivers) await driver.takeBack?.(what);
        await this.#removeWithin('guests', what);
        return;
      case 'socket':
      case 'tls-files':
      case 'temporary-file':
        await this.#removeWithin('migrations', what);
        return;
      case 'migration-unfinished':
        return;
    }
  }

  async #end({ name, handle, dir }: GuestFact, signal: AbortSignal): Promise<void> {
    const { config, drivers } = this.#deps;
    const driver = directDriverOf(drivers, handle);
    if (driver === undefined || handle === undefined || dir === undefined) return;
    const session = await driver.openDestination({
      host: config.name,
      guest: name,
      guestDir: dir,
      networks: config.bridges,
      listenHost: hostsOf(config)[0] ?? '',
      ports: config.ports,
      handle,
    });
    try {
      const { run } = await session.status(signal);
      if (run === 'running') {
        throw godwitError('GODWIT_INTERNAL', { what: `${name} runs: it is no leftover` });
      }
      await session.destroy(signal);
    } finally {
      await session.close();
    }
  }

  async #removeWithin(folder: string, what: string): Promise<void> {
    const root = `${path.join(this.#deps.config.stateDir, folder)}/`;
    if (!path.resolve(what).startsWith(root)) {
      throw godwitError('GODWIT_INTERNAL', { what: `${what} is not in ${root}` });
    }
    await removeTree(what);
  }
}

const nameOf = ({ kind, what }: Leftover): string => `${kind} ${what}`;

function isStillSafe(one: Leftover, all: readonly Leftover[]): boolean {
  return all.some(({ kind, what, safe }) => safe && kind === one.kind && what === one.what);
}
