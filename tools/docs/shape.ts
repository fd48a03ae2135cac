import { z } from 'zod';

/** A JSON Schema, as far as zod makes one. */
interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly additionalProperties?: Schema | boolean;
}

/** The shape that a schema accepts, in the notation of TypeScript. */
export function shapeText(schema: z.ZodType): string {
  return text(z.toJSONSchema(schema, { reused: 'inline', unrepresentable: 'any' }) as Schema, '');
}

function text(schema: Schema, indent: string): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return enumText(schema.enum);
  if (schema.anyOf !== undefined) return schema.anyOf.map((each) => text(each, indent)).join(' | ');
  switch (schema.type) {
    case 'object':
      return objectText(schema, indent);
    case 'array':
      return `Array<${text(schema.items ?? {}, indent)}>`;
    case 'integer':
      return 'number';
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return schema.type;
    default:
      return 'unknown';
  }
}

// The codes of errors are a page of their own.
function enumText(values: readonly unknown[]): string {
  if (values.length > 20) return 'string';
  return values.map((value) => JSON.stringify(value)).join(' | ');
}

function objectText(schema: Schema, indent: string): string {
  const inner = `${indent}  `;
  const entries = Object.entries(schema.properties ?? {});
  if (entries.length === 0) {
    const values =
      typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
    return `Record<string, ${text(values, indent)}>`;
  }
  const lines = entries.map(([name, value]) => {
    const mark = schema.required?.includes(name) === true ? '' : '?';
    return `${inner}${name}${mark}: ${text(value, inner)};`;
  });
  return `{\n${lines.join('\n')}\n${indent}}`;
}
