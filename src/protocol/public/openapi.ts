import { z } from 'zod';
import { errorBody } from '../errors.ts';
import type { Contract, Route } from '../route.ts';
import { PRODUCT_VERSION } from '../version.ts';

type Json = Record<string, unknown>;

const ACCESS: Readonly<Record<Route['access'], string>> = {
  anyone: 'No certificate is asked for.',
  viewer: 'For every certificate of the CA, and over the unix socket.',
  operator: 'For the role operator, and over the unix socket.',
  agent: 'For another host’s agent (role agent), with the header `godwit-protocol`.',
  local: 'Only over the unix socket.',
};

/** A contract as an OpenAPI 3.1 document. */
export function openApi(contract: Contract, title: string): Json {
  const paths: Record<string, Json> = {};
  for (const [key, route] of Object.entries(contract)) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(key, route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title,
      version: PRODUCT_VERSION,
      description: 'Every error is `{"error": {...}}` with the status of its code; docs/errors.md.',
    },
    paths,
    components: { schemas: { Error: schemaOf(errorBody, 'output') } },
  };
}

function operation(key: string, route: Route): Json {
  const type = route.stream ? 'application/x-ndjson' : 'application/json';
  const parameters = [...fields(route.params, 'path'), ...fields(route.query, 'query')];
  return {
    operationId: key,
    summary: route.summary,
    description: `${ACCESS[route.access]}${route.stream ? ' One object a line, until the server ends.' : ''}`,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: schemaOf(route.body, 'input') } },
          },
        }),
    responses: {
      200: {
        description: route.summary,
        content: { [type]: { schema: schemaOf(route.response, 'output') } },
      },
      default: {
        description: 'What went wrong, and the mend',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  };
}

function fields(schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
