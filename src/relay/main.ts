import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { logDefects, stopSignal } from '../system/processes/long-running.ts';
import { openLog } from '../log.ts';
import { loadRelayConfig } from './config.ts';
import { startRelay } from './relay.ts';

/**
 * How much more than what lives after a collection the heap may take before the next one, percent. A relay's heap is 11 MB
 * and its garbage are the buffers of what passes: by its own measure V8 marks all of the heap again every 12 MB.
 */
const HEAP_GROWS = 200;

/** Runs a relay until it is asked to end. Sessions that it carried go on over another path, or once it is back. */
export async function runRelay(configFile: string): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWS}`);
  const config = loadRelayConfig(path.resolve(configFile));
  const log = await openLog(config.logLevel, { relay: config.name });
  logDefects(log, 'relay');
  const relay = await startRelay({ config, log });
  const signal = await stopSignal();
  log.info({ signal }, 'relay ends');
  await relay.close();
}
