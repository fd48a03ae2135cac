import { godwitError } from '../../errors.ts';
import type { completionSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof completionSpec> = async () => {
  throw godwitError('GODWIT_INTERNAL', { what: 'completion is not part of this build yet' });
};
