import { godwitError } from '../../errors.ts';
import type { doctorSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof doctorSpec> = async () => {
  throw godwitError('GODWIT_INTERNAL', { what: 'doctor is not part of this build yet' });
};
