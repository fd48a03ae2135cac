import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { logDefects, stopSignal } from '../system/processes/long-running.ts';
import { openLog } from '../log.ts';
import { loadRelayConfig } from './config.ts';
import { startRelay } from './relay.ts';

/**
 * Heap growth between collections, percent of the live heap. A relay's heap is 11 MB, and its garbage consists of
 * passing buffers: by default V8 would mark the whole heap every 12 MB.
 */
const HEAP_GROWS = 200;

/** Runs a relay until it is asked to end. Its sessions continue on another path, or after its return. */
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
