import path from 'node:path';
import { logDefects, stopSignal } from '../host/long-running.ts';
import { openLog } from '../log.ts';
import { loadRelayConfig } from './config.ts';
import { startRelay } from './relay.ts';

/** Runs a relay until it is asked to end. Sessions that it carried go on over another path, or once it is back. */
export async function runRelay(configFile: string): Promise<void> {
  const config = loadRelayConfig(path.resolve(configFile));
  const log = await openLog(config.logLevel, { relay: config.name });
  logDefects(log, 'relay');
  const relay = await startRelay({ config, log });
  const signal = await stopSignal();
  log.info({ signal }, 'the relay ends');
  await relay.close();
}
