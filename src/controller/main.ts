import path from 'node:path';
import { logDefects, stopSignal } from '../system/processes/long-running.ts';
import { openLog } from '../log.ts';
import { loadControllerConfig, withDatabase } from './config.ts';
import { startController } from './controller.ts';

/** The controller's moves continue at the agents. GODWIT_STORE_NEWER once a newer build has migrated its database. */
export async function runController(configFile: string, database?: string): Promise<void> {
  const config = withDatabase(loadControllerConfig(path.resolve(configFile)), database);
  const log = await openLog(config.logLevel, { controller: config.name });
  logDefects(log, 'controller');
  const controller = await startController({ config, log });
  const why = await Promise.race([stopSignal(), controller.outdated]);
  if (typeof why === 'string') {
    log.info({ signal: why }, 'controller ends');
    await controller.close();
    return;
  }
  log.error({ error: why }, 'controller ends: it is outdated');
  await controller
    .close()
    .catch((thrown: unknown) => log.warn({ error: thrown }, 'error while the controller ended'));
  throw why;
}
