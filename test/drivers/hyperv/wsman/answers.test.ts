import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  bodyOf,
  commandId,
  enumerated,
  received,
  returned,
  shellId,
  WsmanFault,
} from '../../../../src/drivers/hyperv/wsman/answers.ts';
import { errorWords } from '../../../../src/drivers/hyperv/wsman/clixml.ts';
import { envelope, invoke, runCommand } from '../../../../src/drivers/hyperv/wsman/envelope.ts';
import { parseXml } from '../../../../src/formats/xml.ts';

const around = (body: string): string =>
  `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>${body}</s:Body></s:Envelope>`;

describe('answers of WS-Management', () => {
  // The shape of MS-WSMV 4.1.6: a fault with the operation's time.
  test('a fault is reported with its code, its reason and its detail', () => {
    const text = around(
      '<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:TimedOut</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="">The operation timed out.</s:Text></s:Reason><s:Detail><f:WSManFault xmlns:f="x" Code="2150858793" Machine="hv"><f:Message>Retry.</f:Message></f:WSManFault></s:Detail></s:Fault>',
    );
    assert.throws(
      () => bodyOf(text),
      (thrown) => {
        assert.ok(thrown instanceof WsmanFault);
        assert.equal(thrown.isTimeout, true);
        assert.equal(thrown.message, 'The operation timed out. Retry.');
        return true;
      },
    );
  });

  test('output is assembled, and its end is detected', () => {
    const body = bodyOf(
      around(
        '<r:ReceiveResponse xmlns:r="x"><r:Stream Name="stdout" CommandId="1">YWI=</r:Stream><r:Stream Name="stdout" CommandId="1">Yw==</r:Stream><r:Stream Name="stderr" CommandId="1" End="true"></r:Stream><r:CommandState CommandId="1" State="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"><r:ExitCode>3</r:ExitCode></r:CommandState></r:ReceiveResponse>',
      ),
    );
    assert.ok(body);
    const { stdout, stderr, ended } = received(body);
    assert.deepEqual([stdout.toString(), stderr.length, ended], ['abc', 0, 3]);
  });

  test('instances have lists, times and no nulls', () => {
    const body = bodyOf(
      around(
        '<n:PullResponse xmlns:n="x"><n:EnumerationContext>c1</n:EnumerationContext><n:Items><p:Job xmlns:p="y" xmlns:xsi="z"><p:Notes>a</p:Notes><p:Notes>b</p:Notes><p:Gone xsi:nil="true"/><p:At><cim:Datetime xmlns:cim="w">2026-01-02T03:04:05Z</cim:Datetime></p:At></p:Job></n:Items></n:PullResponse>',
      ),
    );
    assert.ok(body);
    assert.deepEqual(enumerated(body), {
      items: [{ Notes: ['a', 'b'], At: ['2026-01-02T03:04:05Z'] }],
      context: 'c1',
    });
  });

  test('a document type is not an answer: entities are never followed', () => {
    const bomb = `<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>${around('<x>&b;</x>')}`;
    const outside = `<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/hostname">]>${around('<x>&a;</x>')}`;
    assert.equal(bodyOf(bomb), undefined);
    assert.equal(bodyOf(outside), undefined);
  });

  test('any text is an answer, a fault or none', () => {
    const pieces = fc.constantFrom(
      '<s:Envelope xmlns:s="x">',
      '</s:Envelope>',
      '<s:Body>',
      '</s:Body>',
      '<s:Fault>',
      '</s:Fault>',
      '<Stream Name="stdout">',
      '</Stream>',
      '<!DOCTYPE a [',
      '&lt;&#0;&x;',
      ']]>',
      'YQ==',
    );
    const elements = fc.constantFrom(
      'ReceiveResponse Stream CommandState ExitCode Shell ShellId CommandResponse CommandId Items'.split(
        ' ',
      ),
    );
    const inner = fc.letrec<{ part: string }>((tie) => ({
      part: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('YQ==', '1', '&lt;', '3000000000'),
        fc
          .tuple(
            elements.chain((names) => fc.constantFrom(...names)),
            fc.array(tie('part'), { maxLength: 3 }),
          )
          .map(
            ([name, parts]) => `<${name} Name="stdout" State="x/Done">${parts.join('')}</${name}>`,
          ),
      ),
    })).part;
    const texts = fc.oneof(
      fc.string(),
      fc.array(pieces, { maxLength: 20 }).map((all) => all.join('')),
      fc.array(inner, { maxLength: 4 }).map((all) => around(all.join(''))),
    );
    let bodies = 0;
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const body = bodyOf(text);
          if (body === undefined) return;
          bodies += 1;
          assert.equal(body.name, 'Body');
          shellId(body);
          commandId(body);
          received(body);
          enumerated(body);
          returned(body, 'Any');
        } catch (thrown) {
          assert.ok(thrown instanceof WsmanFault, String(thrown));
        }
      }),
    );
    assert.ok(bodies > 0);
  });
});

describe('CLIXML', () => {
  // As PowerShell writes an error to a stream that is no console ([MS-PSRP] 2.2.5).
  test('errors are reported as text, and progress is not', () => {
    const text =
      '#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><Obj S="progress" RefId="0"><MS><S N="a">b</S></MS></Obj><S S="Error">Move-VM : Access is denied._x000D__x000A_</S><S S="Error">At line:1 char:1_x000D__x000A_</S></Objs>';
    assert.equal(errorWords(text), 'Move-VM : Access is denied. At line:1 char:1');
  });

  test('other text is reported as it is, and broken CLIXML is reported as broken', () => {
    assert.equal(errorWords(' no such program \r\n'), 'no such program');
    assert.equal(errorWords('#< CLIXML\n<Objs><S'), 'its errors cannot be read');
  });

  test('any text is shortened to a bounded length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 500 }), fc.boolean(), (text, isXml) => {
        const words = errorWords(`${isXml ? '#< CLIXML\n' : ''}${text}`);
        assert.ok(words.length <= 4000 && words.isWellFormed());
      }),
    );
  });
});

describe('requests of WS-Management', () => {
  test('any value stays a value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const asked = [
          runCommand('shell', value, [value]),
          invoke({ className: 'C', key: { InstanceID: value } }, 'M', { A: value }),
        ];
        for (const each of asked) {
          const root = parseXml(envelope(each, 'https://h/wsman', 'ID'));
          assert.equal(root?.name, 'Envelope');
          assert.equal(root.children.length, 2);
          assert.equal(root.children[1]?.children.length, 1);
        }
      }),
    );
  });
});
