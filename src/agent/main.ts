import path from 'node:path';
import { loadAgentConfig } from '../config.ts';
import { allDrivers, movedOptions } from '../drivers/registry.ts';
import { logDefects, stopSignal } from '../system/processes/long-running.ts';
import { openLog } from '../log.ts';
import { startAgent } from './agent.ts';
import { checkStart } from './config-check.ts';
import { compileMover, moverProcesses } from './processes/mover-process.ts';
import { askProcess, compileChecker } from './preflight/checker-process.ts';
import { receiverProcesses } from './processes/receiver-process.ts';
import { compileWatcher } from './processes/watcher-process.ts';

/** Runs the agent of this host until it is asked to end. Movers keep running. */
export async function runAgent(configFile: string): Promise<void> {
  const file = path.resolve(configFile);
  const config = loadAgentConfig(file);
  const log = await openLog(config.logLevel, { agent: config.name });
  logDefects(log, 'agent');
  const moved = movedOptions(config);
  if (moved.length > 0)
    log.warn(
      { moved },
      'driver options belong in the section of the driver; read from their old place',
    );
  for (const problem of await checkStart(file, config))
    log.warn(problem, 'part of the configuration does not work');
  const agent = await startAgent({
    config,
    drivers: await allDrivers(config),
    movers: moverProcesses(file),
    apart: askProcess(file),
    startReceiver: receiverProcesses(file),
    log,
    setLogLevel: (level) => (log.level = level),
  });
  // At a terminal, SIGHUP means that the terminal was closed.
  if (!process.stdin.isTTY) process.on('SIGHUP', () => void agent.reload());
  compileMover();
  compileChecker();
  if (config.network.probe !== 'off') compileWatcher();
  const signal = await stopSignal();
  log.info({ signal }, 'agent ends; movers continue');
  await agent.close();
}
