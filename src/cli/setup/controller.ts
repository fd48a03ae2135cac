import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadControllerConfig, withDatabase } from '../../controller/config.ts';
import type { controllerSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** A controller, in the foreground, until it is asked to end: this process becomes it, without what the CLI needs. */
export const run: Run<typeof controllerSpec> = async (input) => {
  const file = path.resolve(input.flags.config ?? '');
  const { database } = input.flags;
  // What is wrong with either is reported as every verb reports it.
  withDatabase(loadControllerConfig(file), database);
  const program = fileURLToPath(new URL('../../bin/controller.ts', import.meta.url));
  const given = database === undefined ? [] : ['--database', database];
  const argv = [...process.execArgv, program, '--config', file, ...given];
  const environment = Object.entries(process.env).filter(([, value]) => value !== undefined);
  process.execve?.(process.execPath, [process.execPath, ...argv], Object.fromEntries(environment));
};
