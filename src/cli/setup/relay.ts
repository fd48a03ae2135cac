import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadRelayConfig } from '../../relay/config.ts';
import { SMALL_ENVIRONMENT, SMALL_FLAGS } from '../../system/processes/small-process.ts';
import type { relaySpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** A relay, in the foreground, until it is asked to end: this process becomes it, without what the CLI needs. */
export const run: Run<typeof relaySpec> = async (input) => {
  const file = path.resolve(input.flags.config ?? '');
  // What is wrong in it is reported as every verb reports it.
  loadRelayConfig(file);
  const program = fileURLToPath(new URL('../../bin/relay.ts', import.meta.url));
  const argv = [process.execPath, ...SMALL_FLAGS, ...process.execArgv, program, '--config', file];
  const all = { ...process.env, ...SMALL_ENVIRONMENT };
  const environment = Object.entries(all).filter(([, value]) => value !== undefined);
  process.execve?.(process.execPath, argv, Object.fromEntries(environment));
};
