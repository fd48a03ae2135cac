import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { errorBody } from '../errors.ts';
import { answerType, type Contract, type Route } from '../route.ts';
import { errorsOf } from '../route-errors.ts';
import { PRODUCT_VERSION } from '../version.ts';
import { schemaNames } from './schemas.ts';

export type Json = Record<string, unknown>;

const ACCESS: Readonly<Record<Route['access'], string>> = {
  anyone: 'No certificate is asked for.',
  viewer: 'For every certificate of the CA, and over the unix socket.',
  orders: 'For the roles operator and controller, and over the unix socket.',
  operator: 'For the role operator, and over the unix socket.',
  admin: 'For the role admin, and over the unix socket.',
  member: 'For another host’s agent and for controllers, with the header `godwit-protocol`.',
  agent: 'For another host’s agent (role agent), with the header `godwit-protocol`.',
  local: 'Only over the unix socket.',
};

const STREAMS = {
  lines: 'One object a line, until the server ends.',
  events:
    'Server-sent events: the schema is that of their data. Come back with the header Last-Event-ID, or with `after`.',
};

const socket = { unixSocket: [] };
const certificate = (role: string): Json => ({ certificate: [role] });
/** Alternatives; an empty list needs no authentication. */
const SECURITY: Readonly<Record<Route['access'], readonly Json[]>> = {
  anyone: [],
  viewer: [
    ...['viewer', 'operator', 'controller', 'agent'].map((role) => certificate(role)),
    socket,
  ],
  orders: [certificate('operator'), certificate('controller'), socket],
  operator: [certificate('operator'), socket],
  admin: [socket],
  member: [certificate('agent'), certificate('controller')],
  agent: [certificate('agent')],
  local: [socket],
};

const SCHEMES: Json = {
  certificate: {
    type: 'mutualTLS',
    description:
      'A client certificate of the fleet’s CA. Its OU is the role (viewer, operator, controller, agent), its CN the name of the person or host.',
  },
  unixSocket: {
    type: 'http',
    scheme: 'unix-socket',
    description: 'The socket agent.sock of the host’s agent, which only its user may open.',
  },
};

const SERVERS: readonly Json[] = [
  {
    url: 'https://{address}',
    description: 'The agent of a host, with certificates on both sides.',
    variables: { address: { default: 'localhost:7443', description: 'host:port of the agent' } },
  },
  { url: 'http://localhost', description: 'The same over the unix socket agent.sock.' },
];

export interface Face {
  readonly servers: readonly Json[];
  readonly errors?: string;
  readonly schemes: Json;
  readonly access: Readonly<Record<Route['access'], string>>;
  readonly security: Readonly<Record<Route['access'], readonly Json[]>>;
  /** Additional errors of routes with authentication, and of routes that change something. */
  readonly notLetIn: readonly ErrorCode[];
  readonly notTaken: readonly ErrorCode[];
}

const AGENT: Face = {
  servers: SERVERS,
  schemes: SCHEMES,
  access: ACCESS,
  security: SECURITY,
  notLetIn: [],
  notTaken: ['GODWIT_REQUEST_FORGED'],
};

/** Named schemas become components. */
export function openApi(contract: Contract, title: string, face: Face = AGENT): Json {
  const schemas = new Schemas();
  const refusals: Record<string, Json> = {};
  const paths: Record<string, Json> = {};
  for (const [key, route] of Object.entries(contract)) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    const method = route.method.toLowerCase();
    paths[path] = { ...paths[path], [method]: operation({ schemas, refusals }, key, route, face) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title,
      version: PRODUCT_VERSION,
      description: [
        'Every error is `{"error": {...}}` with the status of its code; docs/errors.md.',
        ...(face.errors === undefined ? [] : [face.errors]),
        'Later builds may add fields to answers.',
      ].join(' '),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: face.servers,
    paths,
    components: { schemas: schemas.components, responses: refusals, securitySchemes: face.schemes },
  };
}

interface Components {
  readonly schemas: Schemas;
  readonly refusals: Record<string, Json>;
}

function operation(shared: Components, key: string, route: Route, face: Face): Json {
  const { schemas } = shared;
  const type = answerType(route);
  const parameters = [
    ...fields(schemas, route.params, 'path'),
    ...fields(schemas, route.query, 'query'),
  ];
  const { body, replacedBy } = route;
  const words = [
    face.access[route.access],
    ...(route.stream ? [STREAMS[route.framing ?? 'lines']] : []),
    ...(replacedBy === undefined ? [] : [`For programs of earlier builds: use ${replacedBy}.`]),
  ];
  const content = (schema: z.ZodType, io: 'input' | 'output', mime: string): Json => ({
    content: { [mime]: { schema: schemas.of(schema, io) } },
  });
  return {
    operationId: key,
    summary: route.summary,
    description: words.join(' '),
    ...(replacedBy === undefined ? {} : { deprecated: true }),
    security: face.security[route.access],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, ...content(body, 'input', 'application/json') } }),
    responses: {
      200: { description: route.summary, ...content(route.response, 'output', type) },
      ...refused(shared, allErrors(route, face)),
    },
  };
}

function allErrors(route: Route, { notLetIn, notTaken }: Face): readonly ErrorCode[] | undefined {
  const own = errorsOf(route);
  if (own === undefined) return undefined;
  const further = route.access === 'anyone' ? [] : notLetIn;
  return [...new Set([...own, ...further, ...(route.method === 'GET' ? [] : notTaken)])];
}

/** One answer per status with its codes; `default` if any error may come. */
function refused({ schemas, refusals }: Components, codes: readonly ErrorCode[] | undefined): Json {
  const error = schemas.of(errorBody, 'output');
  if (codes === undefined) {
    const description = 'What went wrong, and the fix';
    return { default: { description, content: { 'application/json': { schema: error } } } };
  }
  const byStatus = Map.groupBy(codes, (code) => ERRORS[code].http);
  return Object.fromEntries(
    [...byStatus].map(([status, all]) => {
      const one = { properties: { error: { properties: { code: { enum: all } } } } };
      const schema = { allOf: [error, one] };
      const name = all.map((code) => code.replace('GODWIT_', '')).join('.');
      refusals[name] = {
        description: all.join(', '),
        content: { 'application/json': { schema } },
      };
      return [status, { $ref: `#/components/responses/${name}` }];
    }),
  );
}

function fields(schemas: Schemas, schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  const { properties = {}, required = [] } = schemas.of(schema, 'input') as {
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

class Schemas {
  readonly components: Record<string, unknown> = {};

  of(schema: z.ZodType, io: 'input' | 'output'): unknown {
    // In a list, a named schema becomes a reference.
    const list = z.toJSONSchema(z.array(schema), {
      io,
      unrepresentable: 'any',
      metadata: schemaNames,
    }) as { items: unknown; $defs?: Record<string, unknown> };
    const defined = Object.entries(list.$defs ?? {});
    // Inputs have optional fields, so they are separate schemas with separate names.
    const names = new Map(
      defined.map(([name]) => [
        name,
        io === 'input' && !name.endsWith('Request') ? `${name}Input` : name,
      ]),
    );
    for (const [name, made] of defined) {
      this.components[names.get(name) ?? name] = referring(made, names);
    }
    return referring(list.items, names);
  }
}

/** Points references to the components. Unknown fields of later builds are allowed. */
function referring(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((each) => referring(each, names));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, each]) => key !== 'additionalProperties' || each !== false)
      .map(([key, each]) => {
        const name = key === '$ref' ? String(each).replace('#/$defs/', '') : undefined;
        if (name === undefined) return [key, referring(each, names)];
        return [key, `#/components/schemas/${names.get(name) ?? name}`];
      }),
  );
}
