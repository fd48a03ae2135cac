import path from 'node:path';
import { logDefects, stopSignal } from '../host/long-running.ts';
import { openLog } from '../log.ts';
import { loadControllerConfig, withDatabase } from './config.ts';
import { startController } from './controller.ts';

/** Runs a controller until it is asked to end. The moves that it has begun go on at the agents. */
export async function runController(configFile: string, database?: string): Promise<void> {
  const config = withDatabase(loadControllerConfig(path.resolve(configFile)), database);
  const log = await openLog(config.logLevel, { controller: config.name });
  logDefects(log, 'controller');
  const controller = await startController({ config, log });
  const signal = await stopSignal();
  log.info({ signal }, 'the controller ends');
  await controller.close();
}
