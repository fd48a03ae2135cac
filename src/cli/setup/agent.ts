import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadAgentConfig } from '../../config.ts';
import { AGENT_ENVIRONMENT, UNOPTIMISED_FLAGS } from '../../system/processes/small-process.ts';
import { OWN_PLACES } from '../connection/own-agent.ts';
import type { agentSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** The agent of this host, in the foreground, until it is asked to end: this process becomes it, without what the CLI needs. */
export const run: Run<typeof agentSpec> = async (input) => {
  const file = path.resolve(input.flags.config ?? OWN_PLACES.config);
  // What is wrong in it is reported as every verb reports it.
  loadAgentConfig(file);
  const program = fileURLToPath(new URL('../../bin/agent.ts', import.meta.url));
  const flags = [...UNOPTIMISED_FLAGS, ...process.execArgv];
  process.execve?.(
    process.execPath,
    [process.execPath, ...flags, program, '--config', file],
    // Values that are not there cannot be handed over.
    Object.fromEntries(
      Object.entries({ ...process.env, ...AGENT_ENVIRONMENT }).filter(
        ([, value]) => value !== undefined,
      ),
    ),
  );
};
