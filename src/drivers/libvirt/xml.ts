import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { z } from 'zod';

/** An element of a document: its own attributes, and what is in it. Pure. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

/** libvirt's own bound of a document, characters. */
const LONGEST = 4_194_304;
const ATTRIBUTES = ':@';
const TEXT = '#text';

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  removeNSPrefix: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
});
const node = z.record(z.string(), z.unknown());
const words = z.string().catch('');

/** The root of a document; undefined for what is none, and for a document type: nothing of one is ever followed. */
export function parseXml(text: string): XmlElement | undefined {
  if (text.length > LONGEST || text.includes('<!DOCTYPE')) return undefined;
  if (XMLValidator.validate(text) !== true) return undefined;
  try {
    return elementsIn(parser.parse(text)).at(0);
  } catch {
    return undefined;
  }
}

function elementsIn(list: unknown): XmlElement[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((each: unknown): XmlElement[] => {
    const parsed = node.safeParse(each).data ?? {};
    const [name, inside] = Object.entries(parsed).find(([key]) => key !== ATTRIBUTES) ?? [];
    if (name === undefined || name === TEXT) return [];
    const given = node.safeParse(parsed[ATTRIBUTES]).data ?? {};
    const attributes = Object.fromEntries(
      Object.entries(given).map(([key, value]) => [key, String(value)]),
    );
    return [{ name, attributes, children: elementsIn(inside), text: textIn(inside) }];
  });
}

function textIn(list: unknown): string {
  if (!Array.isArray(list)) return '';
  return list
    .map((each: unknown) => words.parse(node.safeParse(each).data?.[TEXT]))
    .join('')
    .trim();
}

/** The elements at the end of a path of names below one: `['devices', 'disk']`. */
export function at(root: XmlElement, ...path: readonly string[]): XmlElement[] {
  let all: readonly XmlElement[] = [root];
  for (const name of path) {
    all = all.flatMap(({ children }) => children.filter((child) => child.name === name));
  }
  return [...all];
}
