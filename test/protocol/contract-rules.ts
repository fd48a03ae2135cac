import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Access, Contract } from '../../src/protocol/route.ts';
import { jsonSchemaOf, unbounded, valuesOf } from './arbitrary.ts';

const ACCESSES: Readonly<Record<Access, true>> = {
  anyone: true,
  viewer: true,
  orders: true,
  operator: true,
  admin: true,
  member: true,
  agent: true,
  local: true,
};

/** What holds of every table of routes. */
export function contractRules(name: string, contract: Contract): void {
  const routes = Object.entries(contract);

  describe(`the contract of the ${name}`, () => {
    test('the contract gives every route a summary and an access', () => {
      for (const [key, { summary, access }] of routes) {
        assert.match(summary, /^[A-Z].*[^.]$/, `${key}: a line, not a sentence with its dot`);
        assert.ok(Object.keys(ACCESSES).includes(access), key);
      }
    });

    test('the contract has each method and path once', () => {
      const places = routes.map(
        ([, { method, path }]) => `${method} ${path.replaceAll(/:\w+/g, ':')}`,
      );
      assert.deepEqual(places, [...new Set(places)]);
    });

    test('the contract describes exactly the parameters of each path', () => {
      for (const [key, { path, params }] of routes) {
        const places = [...path.matchAll(/:(\w+)/g)].map(([, place = '']) => place);
        assert.deepEqual(Object.keys(params.shape).toSorted(), places.toSorted(), key);
        assert.match(path, /^(\/[a-z0-9.:]+)+$/i, key);
      }
    });

    test('the contract reads with GET, without a body, and without any change', () => {
      for (const [key, { method, body, access }] of routes) {
        if (method === 'GET') assert.equal(body, undefined, key);
        if (access === 'operator' || access === 'orders') assert.notEqual(method, 'GET', key);
      }
    });

    test('the contract bounds every text and every list on the wire', () => {
      for (const [key, { params, query, body, response }] of routes) {
        // The description of the API is as long as the API.
        if (key === 'openapi') continue;
        for (const schema of [params, query, response, ...(body === undefined ? [] : [body])]) {
          assert.deepEqual(unbounded(jsonSchemaOf(schema), key), []);
        }
      }
    });

    test('the contract accepts every value that it describes, through JSON, in both directions', () => {
      for (const [key, { body, response }] of routes) {
        for (const schema of body === undefined ? [response] : [body, response]) {
          fc.assert(
            fc.property(valuesOf(schema), (value) => {
              const parsed = schema.safeParse(JSON.parse(JSON.stringify(value)));
              assert.ok(parsed.success, `${key}: ${parsed.error?.message}`);
              assert.deepEqual(schema.parse(JSON.parse(JSON.stringify(parsed.data))), parsed.data);
            }),
            { numRuns: 25 },
          );
        }
      }
    });

    test('the contract never throws on an input that is not a message', () => {
      fc.assert(
        fc.property(fc.jsonValue(), (value) => {
          for (const [, { body, response }] of routes) {
            body?.safeParse(value);
            response.safeParse(value);
          }
        }),
        { numRuns: 50 },
      );
    });
  });
}
