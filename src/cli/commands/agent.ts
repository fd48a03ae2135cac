import { godwitError } from '../../errors.ts';
import type { agentSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

/** The agent of this host, as `godwit-agent` runs it. */
export const run: Run<typeof agentSpec> = async (input) => {
  const { config } = input.flags;
  if (config === undefined) {
    throw godwitError(
      'GODWIT_USAGE',
      { what: 'godwit agent needs --config FILE' },
      { hint: 'docs/operating.md shows a configuration.' },
    );
  }
  throw godwitError('GODWIT_INTERNAL', { what: 'the agent is not part of this build yet' });
};
