import { z } from 'zod';
import { ERRORS, GodwitError } from '../errors.ts';
import type { ErrorCode, SerialError } from '../errors.ts';

const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

/** No row of the table has nearly as many places. */
const MOST_FACTS = 16;

/** An error as it crosses a wire or lies in a journal. */
export const serialError: z.ZodType<SerialError> = z.object({
  code: z.enum(codes),
  message: z.string().max(8192),
  hint: z.string().max(4096),
  retryable: z.boolean(),
  facts: z
    .record(z.string().max(64), z.union([z.string().max(8192), z.number()]))
    .refine((facts) => Object.keys(facts).length <= MOST_FACTS, 'too many facts'),
});

export const errorBody = z.object({ error: serialError });

/** The same as the web listener of a controller sends it: problem+json, which has more fields. */
export const problemBody: z.ZodType<SerialError> = z
  .looseObject({ detail: z.string() })
  .transform(({ detail, ...rest }): unknown => ({ ...rest, message: detail }))
  .pipe(serialError);

/** What a value breaks of its schema, on one line: `path: reason; ...`, the first few. */
export function whatIsWrong(error: z.ZodError): string {
  const lines = error.issues.slice(0, 5).map(({ path, message }) => {
    const place = path.map(String).join('.');
    return place === '' ? message : `${place}: ${message}`;
  });
  const rest = error.issues.length - lines.length;
  if (rest > 0) lines.push(`and ${rest} more`);
  return lines.join('; ').slice(0, 2000);
}

/** The error that a peer reported, to be thrown on this side. */
export function fromSerial(serial: SerialError): GodwitError {
  return new GodwitError(serial);
}
