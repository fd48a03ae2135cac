import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { controllerContract } from '../../../src/protocol/controller/contract.ts';
import { controllerDocument } from '../../../src/protocol/controller/openapi.ts';

interface Operation {
  readonly security: readonly Record<string, unknown>[];
  readonly responses: Record<string, { readonly $ref: string }>;
}

interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly responses: Record<string, { readonly description: string }> };
}

const document = controllerDocument(controllerContract);
const { paths, components } = document as unknown as Document;

/** The codes that an operation answers with a status. */
function refusal(operation: Operation | undefined, status: string): string {
  const name = operation?.responses[status]?.$ref.replace('#/components/responses/', '');
  return components.responses[name ?? '']?.description ?? '';
}

test("the controller's routes are a valid OpenAPI 3.1 document", async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors));
});

test('the document lists the role for each route, and the other reasons for a refusal', () => {
  const { get, post } = paths['/v1/tokens'] ?? {};
  assert.deepEqual(get?.security, [{ bearer: [] }, { session: [] }, { unixSocket: [] }]);
  assert.match(refusal(get, '401'), /GODWIT_SIGN_IN, GODWIT_TOKEN_REFUSED/);
  assert.match(refusal(post, '403'), /GODWIT_REQUEST_FORGED/);
  assert.doesNotMatch(refusal(get, '403'), /GODWIT_REQUEST_FORGED/);
  assert.deepEqual(paths['/health']?.['get']?.security, []);
});
