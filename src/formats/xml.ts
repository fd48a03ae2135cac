import { XMLParser, XMLValidator } from 'fast-xml-parser';

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

const LONGEST = 4_194_304;
/** Tags of a document: each costs many times its length. */
const MAX_TAGS = 1_000_000;
/** Length of a tag: the longest command-line argument in libvirt's XML, with every character as an entity. */
export const MAX_TAG_CHARACTERS = 1_048_576;
/** Attributes of a tag, counted by `=`, which values may contain as well. The parser is slow with many. */
export const MAX_TAG_ATTRIBUTES = 4096;
const ATTRIBUTES = ':@';
const TEXT = '#text';
/** The only namespace whose attributes keep their prefix, such as `xsi:type`, because SOAP also has `type`. */
const INSTANCE =
  /xmlns:([A-Za-z_][\w.-]{0,63})\s*=\s*["']http:\/\/www\.w3\.org\/2001\/XMLSchema-instance["']/g;
const INSTANCE_PREFIX = 'xsi';

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
});

/**
 * The root of a document; undefined for anything else, including document types, which could expand or read files.
 * Names lose their namespace prefix.
 */
export function parseXml(text: string, longest = LONGEST): XmlElement | undefined {
  if (text.length > longest || text.includes('<!DOCTYPE') || isUnbounded(text)) return undefined;
  try {
    if (XMLValidator.validate(text) !== true) return undefined;
    const declared = [...text.matchAll(INSTANCE)].map(([, prefix = '']) => prefix);
    return elementsIn(parser.parse(text), new Set([INSTANCE_PREFIX, ...declared])).at(0);
  } catch {
    return undefined;
  }
}

const OTHER_PARTS = [
  ['<!--', '-->'],
  ['<![CDATA[', ']]>'],
] as const;

/**
 * Tells whether the text has too many tags, or a tag that is too long, unfinished or has too many attributes. Linear.
 */
function isUnbounded(text: string): boolean {
  let at = text.indexOf('<');
  for (let tags = 1; at !== -1; tags += 1) {
    if (tags > MAX_TAGS) return true;
    const other = OTHER_PARTS.find(([begin]) => text.startsWith(begin, at));
    const end = other === undefined ? tagEnd(text, at) : text.indexOf(other[1], at);
    if (end === undefined || end === -1) return true;
    at = text.indexOf('<', end + 1);
  }
  return false;
}

/** The end of a tag; undefined if it has no end within its bounds. A `>` in quotes does not end it. */
function tagEnd(text: string, begin: number): number | undefined {
  const limit = Math.min(text.length, begin + MAX_TAG_CHARACTERS);
  let [quote, attributes] = ['', 0];
  for (let at = begin; at < limit; at += 1) {
    const character = text[at] ?? '';
    if (character === '=') attributes += 1;
    if (attributes > MAX_TAG_ATTRIBUTES) return undefined;
    if (quote === '' && character === '>') return at;
    if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = '';
  }
  return undefined;
}

/** The parser's list has an object per element and text, keyed by its name, next to the attributes. */
function elementsIn(list: unknown, instance: ReadonlySet<string>): XmlElement[] {
  const found: XmlElement[] = [];
  if (!Array.isArray(list)) return found;
  for (const each of list as unknown[]) {
    if (!isParsed(each)) continue;
    const name = Object.keys(each).find((key) => key !== ATTRIBUTES);
    if (name === undefined || name === TEXT) continue;
    const inside = each[name];
    const attributes = attributesIn(each[ATTRIBUTES], instance);
    const children = elementsIn(inside, instance);
    found.push({ name: withoutPrefix(name), attributes, children, text: textIn(inside) });
  }
  return found;
}

function isParsed(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

const NO_ATTRIBUTES: Readonly<Record<string, string>> = Object.freeze({});

function attributesIn(
  given: unknown,
  instance: ReadonlySet<string>,
): Readonly<Record<string, string>> {
  if (!isParsed(given)) return NO_ATTRIBUTES;
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      return [attributeName(key, instance), decoded(String(value))];
    }),
  );
}

function attributeName(name: string, instance: ReadonlySet<string>): string {
  const colon = name.indexOf(':');
  const isInstance = colon !== -1 && instance.has(name.slice(0, colon));
  return isInstance ? `${INSTANCE_PREFIX}:${name.slice(colon + 1)}` : withoutPrefix(name);
}

function withoutPrefix(name: string): string {
  const colon = name.lastIndexOf(':');
  return colon === -1 ? name : name.slice(colon + 1);
}

function textIn(list: unknown): string {
  if (!Array.isArray(list)) return '';
  let all = '';
  for (const each of list as unknown[]) {
    const text = isParsed(each) ? each[TEXT] : undefined;
    if (typeof text === 'string') all += text;
  }
  return decoded(all.trim());
}

const ENTITY = /&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/g;
const NAMED: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  apos: "'",
};

/** Decodes entities once, not recursively. An invalid one stays. */
function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(ENTITY, (whole, name?: string, decimal?: string, hex?: string) => {
    if (name !== undefined) return NAMED[name] ?? whole;
    const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}

/** Characters that XML cannot represent become spaces. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\uFFFE\uFFFF]/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** An element as text; names are without namespace prefixes. */
export function formatXml({ name, attributes, children, text }: XmlElement): string {
  const words = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(value)}"`);
  const inside = [escapeXml(text), ...children.map(formatXml)].join('');
  return `<${name}${words.join('')}>${inside}</${name}>`;
}

/** Elements at a path of names: `['devices', 'disk']`. */
export function at(root: XmlElement, ...path: readonly string[]): XmlElement[] {
  let all: readonly XmlElement[] = [root];
  for (const name of path) {
    all = all.flatMap(({ children }) => children.filter((child) => child.name === name));
  }
  return [...all];
}

export function textAt(root: XmlElement, ...path: readonly string[]): string | undefined {
  return at(root, ...path)[0]?.text;
}
