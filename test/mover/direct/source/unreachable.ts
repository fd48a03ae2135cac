import { godwitError } from '../../../../src/errors.ts';

/** The destination does not answer. */
export const unreachable = godwitError('GODWIT_UNREACHABLE', {
  peer: 'b',
  address: '10.0.0.2:7443',
  reason: 'it is silent',
});
