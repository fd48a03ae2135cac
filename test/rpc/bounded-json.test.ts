import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { agentContract } from '../../src/protocol/contract.ts';
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import { moverContract } from '../../src/protocol/mover/contract.ts';
import { peerContract } from '../../src/protocol/peer/contract.ts';
import { DEFAULT_BYTES, LIST_BYTES, type Route } from '../../src/protocol/route.ts';
import { boundedJson } from '../../src/rpc/bounded-json.ts';
import { client } from '../../src/rpc/client.ts';
import { DEFAULT_LIMITS } from '../../src/rpc/limits.ts';
import { callingUnix, servingUnix, tempDir } from './test-contract.ts';

const KIB = 1024;
/** What costs the most to parse for its length. */
const UNITS = ['{},', '[],', '0,', '"",', '{"a":0},', '[0,[]],', '{"a":{"b":{}}},'];

const bomb = (unit: string, bytes: number): string =>
  `{"x":[${unit.repeat(Math.floor((bytes - 16) / unit.length))}0]}`;

/** The texts that are parsed meanwhile. */
function parsed(t: TestContext): string[] {
  const { parse } = JSON;
  const seen: string[] = [];
  t.mock.method(JSON, 'parse', (text: string): unknown => {
    seen.push(text);
    return parse(text);
  });
  return seen;
}

const valuesIn = (value: unknown): number =>
  typeof value !== 'object' || value === null
    ? 1
    : Object.values(value).reduce<number>((sum, each) => sum + valuesIn(each), 1);

describe('foreign JSON', () => {
  test('foreign JSON of any size has a bounded number of values, or is not parsed at all', (t) => {
    const seen = parsed(t);
    for (const limit of [4 * KIB, 64 * KIB, DEFAULT_BYTES, LIST_BYTES / 8])
      for (const unit of UNITS) {
        const text = bomb(unit, limit);
        assert.throws(() => boundedJson(text, limit, 'it'), { code: 'GODWIT_TOO_LARGE' }, unit);
        for (let bytes = 64; bytes <= limit; bytes *= 4) {
          try {
            const most = limit / 16 + 2;
            assert.ok(valuesIn(boundedJson(bomb(unit, bytes), limit, 'it')) <= 2 * most);
          } catch (thrown) {
            assert.equal((thrown as { code?: string }).code, 'GODWIT_TOO_LARGE');
          }
        }
        assert.ok(!seen.includes(text));
      }
  });

  test('foreign JSON is not parsed if it is nested too deeply', (t) => {
    const seen = parsed(t);
    const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    assert.throws(() => boundedJson(deep(200), LIST_BYTES, 'it'), { code: 'GODWIT_TOO_LARGE' });
    assert.deepEqual(seen, []);
    boundedJson(deep(100), LIST_BYTES, 'it');
  });

  test('foreign JSON may have any text in its strings, including escaped quotes and brackets', () => {
    for (const text of [
      '{},[]'.repeat(200),
      '"\\{,'.repeat(200),
      '\\'.repeat(300),
      '🙂",'.repeat(99),
    ])
      assert.deepEqual(boundedJson(JSON.stringify({ text }), 1024, 'it'), { text });
    const words = Array.from({ length: 60 }, () => '"'.repeat(20));
    assert.deepEqual(boundedJson(JSON.stringify(words), 1024, 'it'), words);
  });

  test('invalid JSON is a SyntaxError, even if a string in it has no end', () => {
    for (const text of ['', '{', `"${'a'.repeat(500)}`, `"${'\\'.repeat(501)}`])
      assert.throws(() => boundedJson(text, 1024, 'it'), SyntaxError);
  });

  test("the limit leaves room for JSON as large as this repository's documents", () => {
    const file = path.join(import.meta.dirname, '../../docs/openapi-controller.json');
    const text = readFileSync(file, 'utf8');
    const { answerBytes: limit = 0 } = controllerContract.openapi;
    assert.ok(Object.keys(boundedJson(text, limit, 'it') as object).length > 2);
  });
});

describe('an answer', () => {
  /** A server that answers every request with the same text. */
  const answering = async (t: TestContext, text: string) => {
    const unix = path.join(tempDir(t), 'socket');
    const answer: RequestListener = (request, response) => {
      request.resume();
      response.setHeader('content-type', 'application/json');
      response.end(text);
    };
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(unix, resolve));
    t.after(() => server.close());
    const speaking = client(agentContract, { unix });
    t.after(() => speaking.close());
    return speaking.api;
  };
  const tooLarge = { code: 'GODWIT_TOO_LARGE' };

  test("an answer beyond its route's bytes is not read, and one with too many values is not parsed", async (t) => {
    const seen = parsed(t);
    const long = await answering(t, JSON.stringify({ ok: true, pad: 'a'.repeat(DEFAULT_BYTES) }));
    await assert.rejects(long.health({}), tooLarge);
    for (const unit of UNITS) {
      const small = await answering(t, bomb(unit, DEFAULT_BYTES));
      await assert.rejects(small.health({}), tooLarge);
      const large = await answering(t, bomb(unit, 4 * DEFAULT_BYTES));
      await assert.rejects(large.guest({ params: { guest: 'web1' } }), tooLarge);
    }
    assert.ok(seen.every((text) => text.length < 1000));
  });

  test('a streamed answer has the same limits in each line', async (t) => {
    const seen = parsed(t);
    const api = await answering(t, `${bomb('{},', DEFAULT_BYTES * 3)}\n`);
    const lines = api.events({ params: { id: 'm-00000001' } });
    await assert.rejects(lines[Symbol.asyncIterator]().next(), tooLarge);
    assert.deepEqual(seen, []);
  });
});

describe('a request body', () => {
  test('a request body with too many values is refused before it is parsed', async (t) => {
    const { address } = await servingUnix(t, {}, { bodyBytes: DEFAULT_BYTES });
    const { api } = callingUnix(t, address);
    const seen = parsed(t);
    const text = bomb('{},', DEFAULT_BYTES / 2);
    const body = { text: 'a', more: JSON.parse(text) as unknown } as { text: string };
    seen.length = 0;
    const asked = { params: { name: 'a' }, body };
    await assert.rejects(api.say(asked), { code: 'GODWIT_TOO_LARGE' });
    assert.ok(seen.every((each) => each.length < 1000));
  });
});

describe('the contracts', () => {
  test('the contracts bound every body and answer, and answers between hosts to a few MiB', () => {
    const contracts = {
      ...agentContract,
      ...controllerContract,
      ...moverContract,
      ...peerContract,
    };
    for (const [key, { bodyBytes = DEFAULT_BYTES, answerBytes = DEFAULT_BYTES }] of Object.entries(
      contracts as Readonly<Record<string, Route>>,
    )) {
      assert.ok(bodyBytes <= DEFAULT_LIMITS.bodyBytes, key);
      assert.ok(answerBytes <= LIST_BYTES, key);
    }
    for (const [key, { access, answerBytes = 0 }] of Object.entries({
      ...peerContract,
      ...agentContract,
    } as Readonly<Record<string, Route>>))
      if (access === 'agent' || access === 'member') assert.ok(answerBytes <= 4 * KIB * KIB, key);
    assert.equal(agentContract.renew.bodyBytes, 16 * KIB);
  });
});
