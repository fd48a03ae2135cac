import { z } from 'zod';

/** The schema of a field without its optional wrapper; undefined if the path passes anything but objects. Pure. */
export function schemaAt(schema: unknown, path: readonly PropertyKey[]): unknown {
  let at = bare(schema);
  for (const key of path) at = at instanceof z.ZodObject ? bare(at.shape[String(key)]) : undefined;
  return at;
}

function bare(schema: unknown): unknown {
  let at = schema;
  while (at instanceof z.ZodOptional || at instanceof z.ZodDefault) at = at.unwrap();
  return at;
}
