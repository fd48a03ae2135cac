import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { fleet, guest } from './samples.ts';

interface Operation {
  readonly responses: Record<string, Answer | { readonly $ref: string }>;
}

interface Answer {
  readonly content: Record<string, { readonly schema: object }>;
}

interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly responses: Record<string, Answer> };
}

/** What the document says of an answer: at the operation, or among what several share. */
function describedIn(document: Document, operation: Operation, status: number): object | undefined {
  const said = operation.responses[status];
  const answer =
    said !== undefined && '$ref' in said
      ? document.components.responses[said.$ref.replace(/.*\//, '')]
      : said;
  return answer?.content['application/json']?.schema;
}

/** Asks over the unix socket, as a program of another language does. */
function get(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => (body += text));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

test("an agent's answers and errors match its own API document", async (t) => {
  const { host } = await fleet(t);
  const peer = { b: { address: '127.0.0.1:1' } };
  const a = await host('a', { guests: () => [guest('web1'), guest('web2')], peers: peer });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  const { body } = await get(a.agent.socket, '/openapi.json');
  const base = 'https://api.test/';
  const document: Document = JSON.parse(body.replaceAll('"#/components', `"${base}#/components`));
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: base, components: document.components });
  const places: Record<string, string[]> = { id: [id, 'm-unknown00'], guest: ['web2', 'web9'] };
  let asked = 0;
  for (const [path, methods] of Object.entries(document.paths)) {
    const { get: operation } = methods;
    if (operation === undefined || path.endsWith('/events')) continue;
    const [, name = ''] = /\{(\w+)\}/.exec(path) ?? [];
    for (const value of places[name] ?? ['']) {
      const answer: { status: number; body: string } = await get(
        a.agent.socket,
        path.replace(/\{\w+\}/, value),
      );
      const described = describedIn(document, operation, answer.status);
      assert.ok(described, `${path}: ${answer.status} is not in the document: ${answer.body}`);
      const takes: ValidateFunction = ajv.compile(described);
      assert.ok(takes(JSON.parse(answer.body)), `${path}: ${ajv.errorsText(takes.errors)}`);
      asked += 1;
    }
  }
  assert.ok(asked >= 15, `${asked} questions`);
});
