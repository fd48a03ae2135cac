import { godwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { managerRoutes } from '../../protocol/controller/managers.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { ManagerStore } from '../managers/manager-store.ts';
import { shownAt } from '../managers/certificate.ts';
import type { Managers } from '../managers/managers.ts';

export interface ManagerHandlerDependencies {
  readonly managers: Managers;
  readonly managerStore: ManagerStore;
  readonly log: Log;
}

export function managerHandlers(deps: ManagerHandlerDependencies): Handlers<typeof managerRoutes> {
  const { managers, managerStore, log } = deps;
  return {
    managers: () => ({ managers: managers.list() }),
    manager: ({ params: { name } }) => managers.entry(name),
    managerCertificate: ({ body: { url } }) => {
      if (URL.canParse(url) && new URL(url).protocol === 'https:') return shownAt(url);
      throw godwitError('GODWIT_MANAGER_REFUSED', {
        manager: 'it',
        what: 'its address is not https://HOST',
      });
    },
    addManager: async ({ body, caller }) => {
      const { name, password, ...place } = body;
      const checks = await managers.add(name, place, { password, by: caller.name });
      log.info({ manager: name, driver: place.driver, by: caller.name }, 'manager added');
      return { manager: managers.entry(name), checks };
    },
    diagnoseManager: async ({ params: { name } }) => ({ checks: await managers.diagnose(name) }),
    rotateManagerKey: async ({ caller }) => {
      const count = await managerStore.rotate();
      log.info({ managers: count, by: caller.name }, 'key of the managers replaced');
      return { managers: count };
    },
    removeManager: async ({ params: { name }, caller }) => {
      await managers.remove(name);
      log.info({ manager: name, by: caller.name }, 'manager removed');
      return { ok: true };
    },
  };
}
