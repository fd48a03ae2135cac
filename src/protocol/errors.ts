import { z } from 'zod';
import {
  ERRORS,
  GodwitError,
  type ErrorCode,
  type ErrorFacts,
  type SerialError,
} from '../errors.ts';
import { nearest } from './nearest.ts';
import { schemaAt } from './schema-at.ts';

const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

const MAX_FACTS = 16;

const NEWER_CODE = /^GODWIT_[A-Z0-9_]{1,56}$/;
const known: ReadonlySet<string> = new Set(codes);

/**
 * An error on the wire or in a journal. An unknown code comes from a newer build: it keeps its text and becomes
 * GODWIT_ERROR_NEWER, so that journals and peers stay readable after a downgrade.
 */
export const serialError: z.ZodType<SerialError> = z.preprocess(
  asKnown,
  z.object({
    code: z.enum(codes),
    message: z.string().max(8192),
    hint: z.string().max(4096),
    retryable: z.boolean(),
    facts: z
      .record(z.string().max(64), z.union([z.string().max(8192), z.number()]))
      .refine((facts) => Object.keys(facts).length <= MAX_FACTS, 'too many facts'),
  }),
);

function asKnown(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('code' in value)) return value;
  const { code } = value;
  if (typeof code !== 'string' || known.has(code) || !NEWER_CODE.test(code)) return value;
  const facts: ErrorFacts<'GODWIT_ERROR_NEWER'> = { code };
  return { ...value, code: 'GODWIT_ERROR_NEWER', facts };
}

export const errorBody = z.object({ error: serialError });

export const problemBody: z.ZodType<SerialError> = z
  .looseObject({ detail: z.string() })
  .transform(({ detail, ...rest }): unknown => ({ ...rest, message: detail }))
  .pipe(serialError);

/** Describes on one line why a value breaks its schema: `path: reason; ...`, the first few. */
export function whatIsWrong(error: z.ZodError, schema?: z.ZodType): string {
  const lines = error.issues.slice(0, 5).map((issue) => {
    const place = issue.path.map(String).join('.');
    const why = issue.code === 'unrecognized_keys' ? unknownField(issue, schema) : issue.message;
    return place === '' ? why : `${place}: ${why}`;
  });
  const rest = error.issues.length - lines.length;
  if (rest > 0) lines.push(`and ${rest} more`);
  return lines.join('; ').slice(0, 2000);
}

function unknownField(
  { keys, path }: z.core.$ZodIssueUnrecognizedKeys,
  schema: z.ZodType | undefined,
): string {
  const at = schemaAt(schema, path);
  const fields = at instanceof z.ZodObject ? Object.keys(at.shape) : [];
  return keys
    .slice(0, 5)
    .map((key) => {
      const near = nearest(key, fields);
      const meant = near === undefined ? '' : `; did you mean ${near}?`;
      return `unknown field ${JSON.stringify(key.slice(0, 64))}${meant}`;
    })
    .join('; ');
}

export function fromSerial(serial: SerialError): GodwitError {
  return new GodwitError(serial);
}
