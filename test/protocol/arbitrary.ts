import fc from 'fast-check';
import { z } from 'zod';

/** What a schema describes, as a JSON schema and as values to test with. */

export interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly propertyNames?: JsonSchema;
  readonly items?: JsonSchema | false;
  /** Of a tuple: each of its places. */
  readonly prefixItems?: readonly JsonSchema[];
  readonly uniqueItems?: boolean;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const made = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' });
  return made as JsonSchema;
}

/** Values that the schema is to accept. */
export function valuesOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  return arbitrary(jsonSchemaOf(schema));
}

function arbitrary(schema: JsonSchema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map(arbitrary));
  switch (schema.type) {
    case 'object':
      return object(schema);
    case 'array':
      if (schema.prefixItems !== undefined) return fc.tuple(...schema.prefixItems.map(arbitrary));
      return (schema.uniqueItems === true ? fc.uniqueArray : fc.array)(
        arbitrary(schema.items || {}),
        { minLength: schema.minItems ?? 0, maxLength: Math.min(2, schema.maxItems ?? 2) },
      );
    case 'string':
      return string(schema);
    case 'integer':
      return fc.integer({ min: least(schema), max: most(schema) });
    case 'number':
      return fc.double({ min: least(schema), max: most(schema), noNaN: true }).map((n) => n + 0);
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      return fc.jsonValue();
  }
}

function object(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { properties, required = [], additionalProperties } = schema;
  if (properties === undefined && typeof additionalProperties === 'object') {
    const { propertyNames = {} } = schema;
    const names = propertyNames.enum as readonly string[] | undefined;
    const key = names === undefined ? string(propertyNames) : fc.constantFrom(...names);
    return fc.dictionary(
      key.filter((name) => name !== '__proto__'),
      arbitrary(additionalProperties),
      {
        maxKeys: 3,
        noNullPrototype: true,
      },
    );
  }
  const entries = Object.entries(properties ?? {}).map(([key, one]) => [key, arbitrary(one)]);
  return fc.record(Object.fromEntries(entries) as Record<string, fc.Arbitrary<unknown>>, {
    requiredKeys: [...required],
    noNullPrototype: true,
  });
}

function string({ pattern, minLength = 0, maxLength = 20 }: JsonSchema): fc.Arbitrary<string> {
  if (pattern !== undefined) {
    return fc.stringMatching(new RegExp(pattern)).filter((text) => text.length <= maxLength);
  }
  return fc.string({ minLength, maxLength: Math.min(maxLength, Math.max(minLength, 20)) });
}

function least({ minimum, exclusiveMinimum, type }: JsonSchema): number {
  if (exclusiveMinimum !== undefined) return exclusiveMinimum + (type === 'integer' ? 1 : 1e-9);
  return Math.max(minimum ?? -0x7fffffff, -0x7fffffff);
}

function most({ maximum }: JsonSchema): number {
  return Math.min(maximum ?? 0x7fffffff, 0x7fffffff);
}

/** Places of the schema that a sender may fill without end. */
export function unbounded(schema: JsonSchema, at = ''): string[] {
  if ('const' in schema || schema.enum !== undefined) return [];
  const found = [
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((one) => unbounded(one, at)),
    ...Object.entries(schema.properties ?? {}).flatMap(([key, one]) =>
      unbounded(one, `${at}.${key}`),
    ),
  ];
  if (schema.type === 'string' && schema.maxLength === undefined && !isBounded(schema.pattern)) {
    found.push(`${at}: a text without a bound`);
  }
  if (schema.prefixItems !== undefined) {
    const places = schema.prefixItems.flatMap((one, place) => unbounded(one, `${at}[${place}]`));
    found.push(...places);
  } else if (schema.type === 'array') {
    if (schema.maxItems === undefined) found.push(`${at}: a list without a bound`);
    found.push(...unbounded(schema.items || {}, `${at}[]`));
  }
  if (typeof schema.additionalProperties === 'object') {
    found.push(...unbounded(schema.additionalProperties, `${at}{}`));
    found.push(...unbounded(schema.propertyNames ?? {}, `${at} (names)`));
  }
  return found;
}

function isBounded(pattern: string | undefined): boolean {
  return pattern !== undefined && pattern.startsWith('^') && !/(?<!\\)[*+]/.test(pattern);
}
