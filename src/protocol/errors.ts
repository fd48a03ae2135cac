import { z } from 'zod';
import { ERRORS, GodwitError } from '../errors.ts';
import type { ErrorCode, SerialError } from '../errors.ts';

const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

/** An error as it crosses a wire or lies in a journal. */
export const serialError: z.ZodType<SerialError> = z.object({
  code: z.enum(codes),
  message: z.string().max(8192),
  hint: z.string().max(4096),
  retryable: z.boolean(),
  facts: z.record(z.string().max(64), z.union([z.string().max(8192), z.number()])),
});

export const errorBody = z.object({ error: serialError });

/** The error that a peer reported, to be thrown on this side. */
export function fromSerial(serial: SerialError): GodwitError {
  return new GodwitError(serial);
}
