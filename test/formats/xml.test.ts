import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  at,
  escapeXml,
  MAX_TAG_ATTRIBUTES,
  MAX_TAG_CHARACTERS,
  parseXml,
  textAt,
  type XmlElement,
} from '../../src/formats/xml.ts';

const SOAP = `<?xml version="1.0"?>
<soapenv:Envelope xmlns:soapenv="urn:x" xmlns:xsi="urn:y"><soapenv:Body>
  <obj type="Task" xsi:type="ManagedObjectReference">task-1</obj>
</soapenv:Body></soapenv:Envelope>`;

function countOf(element: XmlElement): number {
  return 1 + element.children.reduce((sum, child) => sum + countOf(child), 0);
}

const tagOf = (attributes: number): string =>
  `<t ${Array.from({ length: attributes }, (_none, index) => `a${index}="${index}"`).join(' ')}/>`;

/** Documents by a number of repetitions. 4 MiB of attributes in one tag took two seconds without a bound. */
const GROWN = 2000;
const GROWING: Readonly<Record<string, (count: number) => string>> = {
  'attributes of one tag': tagOf,
  'one attribute again and again': (count) => `<t ${`a="1" `.repeat(count)}/>`,
  'attributes without a space between them': (count) => `<t ${`a="1"`.repeat(count)}/>`,
  'a value that does not end': (count) => `<t ${`a="`.repeat(count | 1)}/>`,
  'spaces in a tag': (count) => `<t${' '.repeat(count * 8)}/>`,
  'tags that do not end': (count) => '<t '.repeat(count),
  'small tags': (count) => `<t>${'<a b="c"/>'.repeat(count)}</t>`,
  'tags in one another': (count) => `${'<t>'.repeat(count)}${'</t>'.repeat(count)}`,
  'comments that do not end': (count) => `<t>${'<!--'.repeat(count)}</t>`,
  'parts of characters that do not end': (count) => `<t>${'<![CDATA['.repeat(count)}</t>`,
  entities: (count) => `<t>${'&amp;'.repeat(count)}</t>`,
  'declarations of a namespace': (count) => `<t ${'xmlns:i="http://www.w3'.repeat(count)}"/>`,
};

/** The least of three runs. */
function processorMs(text: string): number {
  const runs = [0, 1, 2].map(() => {
    const before = process.cpuUsage();
    parseXml(text);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return Math.min(...runs);
}

describe('XML from outside', () => {
  test('XML is read without namespace prefixes, and `type` separately from `xsi:type`', () => {
    const root = parseXml(SOAP);
    assert.equal(root?.name, 'Envelope');
    const [object] = root === undefined ? [] : at(root, 'Body', 'obj');
    assert.equal(object?.text, 'task-1');
    assert.equal(object?.attributes['type'], 'Task');
    assert.equal(object?.attributes['xsi:type'], 'ManagedObjectReference');
  });

  test('XML has `xsi:type` by its namespace, whatever the prefix', () => {
    const declared = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"';
    const root = parseXml(`<a ${declared} i:type="T" type="t" b:type="u"/>`);
    assert.equal(root?.attributes['xsi:type'], 'T');
    assert.equal(parseXml('<a b:type="u"/>')?.attributes['type'], 'u');
  });

  test('XML with a document type is refused: no entity bomb or external entity is expanded', () => {
    const bomb = `<!DOCTYPE a [<!ENTITY b "${'b'.repeat(64)}"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>`;
    assert.equal(parseXml(bomb), undefined);
    const outside = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>';
    assert.equal(parseXml(outside), undefined);
    assert.equal(parseXml('<a>&b;</a>')?.text, '&b;');
  });

  test('XML has its characters decoded once', () => {
    assert.equal(parseXml('<a>&#34;&#x41;&amp;lt;</a>')?.text, '"A&lt;');
    assert.equal(parseXml('<a b="&quot;&lt;"/>')?.attributes['b'], '"<');
    assert.equal(parseXml('<a>&#1114112;</a>')?.text, '&#1114112;');
  });

  test('XML is refused if it is longer or more deeply nested than the limits', () => {
    assert.equal(parseXml(`<a>${'b'.repeat(100)}</a>`, 100), undefined);
    assert.doesNotThrow(() => parseXml('<a>'.repeat(50_000) + '</a>'.repeat(50_000)));
  });

  test('XML with too many tags is refused, since they take more memory than characters', () => {
    const tags = (count: number): string => `<a>${'<b/>'.repeat(count)}</a>`;
    assert.notEqual(parseXml(tags(1000)), undefined);
    assert.equal(parseXml(tags(1_000_001), 64 * 1024 ** 2), undefined);
  });

  test('XML with too many attributes or characters in a tag is refused, wherever the tag is', () => {
    const most = tagOf(MAX_TAG_ATTRIBUTES);
    assert.equal(Object.keys(parseXml(most)?.attributes ?? {}).length, MAX_TAG_ATTRIBUTES);
    const more = tagOf(MAX_TAG_ATTRIBUTES + 1);
    for (const inside of [more, `<a>${most}${more}</a>`, `<a><!-- " -->${more}</a>`]) {
      assert.equal(parseXml(inside), undefined);
    }
    assert.equal(parseXml(`<a><![CDATA[${more}]]>${most}</a>`)?.children.length, 1);
    const long = (length: number): string => `<a b="${'>'.repeat(length)}"/>`;
    const frame = long(0).length;
    assert.notEqual(parseXml(long(MAX_TAG_CHARACTERS - frame)), undefined);
    assert.equal(parseXml(long(MAX_TAG_CHARACTERS)), undefined);
    assert.equal(parseXml('<a><!-- without an end</a>'), undefined);
  });

  for (const [what, make] of Object.entries(GROWING)) {
    test(`XML takes a time that is at most linear in its length: ${what}`, (t) => {
      const [small, large] = [make(GROWN), make(GROWN * 16)];
      // Compiled by then.
      for (let run = 0; run < 3; run += 1) processorMs(small);
      const [least, most] = [processorMs(small), processorMs(large)];
      t.diagnostic(`${small.length} characters: ${least} ms; ${large.length}: ${most} ms`);
      // Quadratic would be 256 times; below a millisecond the clock is too coarse.
      assert.ok(most < 64 * Math.max(least, 1), `${least} ms, then ${most} ms`);
    });
  }

  test('XML represents any text that is written into it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const expected = text.toWellFormed().replaceAll(/[\p{Cc}\uFFFE\uFFFF]/gu, ' ');
        const root = parseXml(`<a><b>${escapeXml(text)}</b></a>`);
        assert.ok(root !== undefined);
        assert.equal(textAt(root, 'b'), expected.trim());
      }),
    );
  });

  test('XML of any kind is an element or invalid, and never an exception', () => {
    const pieces = fc.array(
      fc.constantFrom(
        '<a',
        '>',
        '</a>',
        '/>',
        ' b="',
        '"',
        '&lt;',
        '&#',
        ';',
        '<![CDATA[',
        ']]>',
        '<!--',
        '-->',
        '<?x',
        '?>',
        '<!DOCTYPE',
        'é',
        '__proto__',
        '<__proto__>',
        'constructor',
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          pieces.map((all) => all.join('')),
          fc.string(),
        ),
        (text) => {
          const root = parseXml(text);
          assert.ok(root === undefined || countOf(root) >= 1);
        },
      ),
      { numRuns: 500 },
    );
  });
});
