import { godwitError } from '../../errors.ts';
import type { reportSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof reportSpec> = async () => {
  throw godwitError('GODWIT_INTERNAL', { what: 'report is not part of this build yet' });
};
