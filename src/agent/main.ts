import path from 'node:path';
import { loadAgentConfig } from '../config.ts';
import { allDrivers, movedOptions } from '../drivers/registry.ts';
import { openLog } from '../log.ts';
import type { Log } from '../log.ts';
import { startAgent } from './agent.ts';
import { compileMover, moverProcesses } from './mover-process.ts';
import { askProcess, compileChecker } from './preflight/apart.ts';
import { compileWatcher } from './watcher-process.ts';

/** Runs the agent of this host until it is told to end. Movers live on. */
export async function runAgent(configFile: string): Promise<void> {
  const file = path.resolve(configFile);
  const config = loadAgentConfig(file);
  const log = await openLog(config.logLevel, { agent: config.name });
  logDefects(log);
  const moved = movedOptions(config);
  if (moved.length > 0)
    log.warn(
      { moved },
      'options of a driver are in its section now; they were read where they are',
    );
  const agent = await startAgent({
    config,
    drivers: allDrivers(config),
    movers: moverProcesses(file),
    apart: askProcess(file),
    log,
  });
  compileMover();
  compileChecker();
  if (config.network.probe !== 'off') compileWatcher();
  const signal = await stopSignal();
  log.info({ signal }, 'the agent ends; movers go on');
  await agent.close();
}

/** The first SIGTERM or SIGINT. A second one ends the process at once. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.once(name, () => {
        process.once(name, () => process.exit(1));
        resolve(name);
      });
    }
  });
}

/** A promise that nobody waits for must not end every call of a host; a thrown error may have left anything behind. */
function logDefects(log: Log): void {
  process.on('unhandledRejection', (error) => log.error({ error }, 'a defect: nobody waited'));
  process.on('uncaughtException', (error) => {
    log.error({ error }, 'a defect: the agent ends, and is to be started again');
    process.exit(70);
  });
}
