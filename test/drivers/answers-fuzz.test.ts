import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { z } from 'zod';
import { ANSWERS, parseAnswer as parseJson } from '../../src/drivers/hyperv/answers.ts';
import {
  bodyOf,
  commandId,
  enumerated,
  received,
  returned,
  shellId,
  WsmanFault,
} from '../../src/drivers/hyperv/wsman/answers.ts';
import { errorWords } from '../../src/drivers/hyperv/wsman/clixml.ts';
import { objectsIn, parseAnswer, updatesIn } from '../../src/drivers/vsphere/soap.ts';
import { taskIn } from '../../src/drivers/vsphere/task.ts';

/** What comes from outside, as managers answer; each parser reads what becomes of it. */

const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
const SOAP = `<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="x" ${XSI}><soapenv:Body><WaitForUpdatesExResponse xmlns="urn:vim25"><returnval><version>7</version><filterSet><objectSet><kind>modify</kind><obj type="Task">task-1</obj><changeSet><name>info</name><op>assign</op><val xsi:type="TaskInfo"><state>error</state><progress>40</progress><error><fault xsi:type="NoPermission"/><localizedMessage>no &amp; no</localizedMessage></error></val></changeSet></objectSet></filterSet><truncated>true</truncated></returnval></WaitForUpdatesExResponse></soapenv:Body></soapenv:Envelope>`;
const WSMAN =
  '<s:Envelope xmlns:s="x"><s:Body><r:ReceiveResponse xmlns:r="y"><r:Stream Name="stdout" CommandId="1">YWI=</r:Stream><r:CommandState CommandId="1" State="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"><r:ExitCode>3</r:ExitCode></r:CommandState></r:ReceiveResponse></s:Body></s:Envelope>';
const WSMAN_FAULT =
  '<s:Envelope xmlns:s="x"><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>no</s:Text></s:Reason><s:Detail><f:WSManFault xmlns:f="z" Code="5"><f:Message>no</f:Message></f:WSManFault></s:Detail></s:Fault></s:Body></s:Envelope>';
const CLIXML =
  '#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><S S="Error">It is not there_x000D__x000A_</S><S S="progress">1</S></Objs>';
const JSONS = [
  '{"guest":null}',
  '{"returned":4096,"already":false}',
  '{"state":"Paused","drain":"InProgress","code":0}',
  '{"error":{"stage":"call","message":"no","hresult":-2146233087,"category":"x"}}',
  '{"host":{"cores":4,"memory":1,"available":1,"version":"10","cluster":{"name":"hvc","state":"Up","drain":"NotInitiated","code":0}},"guests":[{"id":"0b9f2f0a-6f0e-4f5c-9a3e-0a0a0a0a0a0a","name":"web","state":"Running","memory":1,"vcpus":1,"generation":2,"version":"9.0","clustered":false,"nics":[]}]}',
];

const SCHEMAS: readonly z.ZodType[] = Object.values(ANSWERS);

function readSoap(text: string): void {
  const said = parseAnswer('WaitForUpdatesEx', text);
  if (!('values' in said)) return;
  for (const value of said.values) {
    for (const seen of [...objectsIn(value), ...updatesIn(value).changes]) taskIn(seen);
  }
}

function readWsman(text: string): void {
  try {
    const body = bodyOf(text);
    if (body === undefined) return;
    received(body);
    enumerated(body);
    shellId(body);
    commandId(body);
    returned(body, 'MigrateVirtualSystemToHost');
  } catch (thrown) {
    assert.ok(thrown instanceof WsmanFault, String(thrown));
    assert.ok(thrown.message.length <= 2000);
  }
}

function readClixml(text: string): void {
  assert.ok(errorWords(text).length <= 4000);
}

function readJson(text: string): void {
  const base64 = Buffer.from(text, 'utf8').toString('base64');
  for (const schema of SCHEMAS) {
    parseJson(base64, schema);
    parseJson(text, schema);
  }
}

const PARSERS: readonly (readonly [string, readonly string[], (text: string) => void])[] = [
  ['SOAP of vSphere', [SOAP], readSoap],
  ['WS-Management', [WSMAN, WSMAN_FAULT], readWsman],
  ['CLIXML', [CLIXML], readClixml],
  ['the JSON of PowerShell', JSONS, readJson],
];

/** A piece taken out, written twice, exchanged for another's, or bytes that are anything. */
type Change = readonly [kind: number, at: number, length: number, piece: string];

const changes: fc.Arbitrary<Change[]> = fc.array(
  fc.tuple(
    fc.nat(3),
    fc.nat(2000),
    fc.nat(60),
    fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom(
        '<a>',
        '</a>',
        '<![CDATA[',
        '<!--',
        '&#x0;',
        '&#xD800;',
        '&lt;',
        '<?',
        '"',
        '\0',
        '99999999999999999999',
        '-1',
        '{',
        '[',
        '__proto__',
        '"constructor":{}',
      ),
    ),
  ),
  { minLength: 1, maxLength: 6 },
);

function changed(text: string, all: readonly Change[]): string {
  let now = text;
  for (const [kind, where, length, piece] of all) {
    const at = now.length === 0 ? 0 : where % now.length;
    const [before, taken, after] = [
      now.slice(0, at),
      now.slice(at, at + length),
      now.slice(at + length),
    ];
    if (kind === 0) now = before + after;
    else if (kind === 1) now = before + taken + taken + after;
    else if (kind === 2) now = before + piece + after;
    else now = before + piece + taken + after;
  }
  return now;
}

const BOMB = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">${Array.from(
  { length: 10 },
  (_none, index) => `<!ENTITY b${index} "${`&b${index === 0 ? '' : index - 1};`.repeat(10)}">`,
).join('')}]>`;
const OUTSIDE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>';

for (const [name, seeds, read] of PARSERS) {
  describe(name, () => {
    test('a recorded answer is read, and one changed at any place is read or refused, never an exception', () => {
      for (const seed of seeds) read(seed);
      fc.assert(
        fc.property(fc.constantFrom(...seeds), changes, (seed, all) => read(changed(seed, all))),
        { numRuns: 2000 },
      );
    });

    test('a recorded answer that is cut, deeply nested or wide is read or refused', () => {
      for (const seed of seeds) {
        for (let at = 0; at <= seed.length; at += 7) read(seed.slice(0, at));
        const middle = Math.floor(seed.length / 2);
        for (const piece of ['<a>', '[', '{"a":', '<a/>', 'a ']) {
          read(seed.slice(0, middle) + piece.repeat(50_000) + seed.slice(middle));
          read(piece.repeat(50_000));
        }
      }
    });
  });
}

test('every answer of the scripts matches one of their schemas', () => {
  for (const text of JSONS) {
    const base64 = Buffer.from(text, 'utf8').toString('base64');
    assert.ok(
      SCHEMAS.some((schema) => parseJson(base64, schema) !== undefined),
      text,
    );
  }
});

describe('an entity', () => {
  for (const [kind, head] of [
    ['that grows', BOMB],
    ['from outside', OUTSIDE],
  ] as const) {
    test(`an entity ${kind} is not followed by any parser`, () => {
      const soap = SOAP.replace('<?xml version="1.0"?>', head).replace('no &amp; no', '&b;&b9;');
      assert.ok('garbage' in parseAnswer('WaitForUpdatesEx', soap));
      const wsman = head + WSMAN.replace('YWI=', '&b;&b9;');
      assert.equal(bodyOf(wsman), undefined);
      const clixml = CLIXML.replace('<Objs', `${head}<Objs`).replace('It is', '&b;&b9;');
      assert.equal(errorWords(clixml), 'its errors cannot be read');
    });
  }
});
