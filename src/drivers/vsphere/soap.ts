import { at, escapeXml, parseXml, textAt, type XmlElement } from '../../formats/xml.ts';

/** SOAP of vSphere (vim25): writes calls and parses answers. Pure. */

export interface Ref {
  readonly type: string;
  readonly value: string;
}

/** Part of a call in XML. Only the functions below create one, so text is always escaped. */
declare const written: unique symbol;
export type Part = string & { readonly [written]: true };

/** Limit of one answer, characters. */
export const LONGEST_ANSWER = 64 * 1024 * 1024;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const REF_PART = /^[^\p{Cc}]{1,256}$/u;

export function text(name: string, value: string | number | boolean): Part {
  return element(name, escapeXml(String(value)));
}

export function ref(name: string, { type, value }: Ref): Part {
  return element(name, escapeXml(value), ` type="${escapeXml(type)}"`);
}

/** `xsiType`: concrete type if the schema has an abstract one. */
export function group(name: string, parts: readonly Part[], xsiType?: string): Part {
  const attributes = xsiType === undefined ? '' : ` xsi:type="${escapeXml(xsiType)}"`;
  return element(name, parts.join(''), attributes);
}

function element(name: string, inside: string, attributes = ''): Part {
  if (!NAME.test(name)) throw new Error(`${name} is no name of an element`);
  return `<${name}${attributes}>${inside}</${name}>` as Part;
}

export function propSet(type: string, properties: readonly string[]): Part {
  return group('propSet', [
    text('type', type),
    text('all', false),
    ...properties.map((each) => text('pathSet', each)),
  ]);
}

export function throughView(view: Ref): Part {
  const through = [
    text('name', 'view'),
    text('type', 'ContainerView'),
    text('path', 'view'),
    text('skip', false),
  ];
  return group('objectSet', [
    ref('obj', view),
    text('skip', true),
    group('selectSet', through, 'TraversalSpec'),
  ]);
}

export function envelope(method: string, self: Ref, parts: readonly Part[]): string {
  const body = element(method, [ref('_this', self), ...parts].join(''), ' xmlns="urn:vim25"');
  return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>${body}</soapenv:Body></soapenv:Envelope>`;
}

/** Calls without changes, which can be repeated safely. */
export const READS: ReadonlySet<string> = new Set([
  'RetrieveServiceContent',
  'RetrievePropertiesEx',
  'ContinueRetrievePropertiesEx',
  'WaitForUpdatesEx',
  'CurrentTime',
  'FindByUuid',
]);

export interface Fault {
  /** API type: NotAuthenticated, InvalidState. */
  readonly type: string;
  readonly message: string;
  readonly detail: XmlElement;
}

export type Answer =
  | { readonly values: readonly XmlElement[] }
  | { readonly fault: Fault }
  /** Not an answer of vSphere. */
  | { readonly garbage: string };

/** Contents of an answer: each `returnval`, or the fault. */
export function parseAnswer(method: string, document: string): Answer {
  const root = parseXml(document, LONGEST_ANSWER);
  if (root?.name !== 'Envelope') return { garbage: 'it is no SOAP' };
  const [body] = at(root, 'Body');
  const [said] = body?.children ?? [];
  if (said === undefined) return { garbage: 'its body is empty' };
  if (said.name === 'Fault') return { fault: faultIn(said) };
  if (said.name !== `${method}Response`) {
    return { garbage: `it answers ${said.name.slice(0, 64)} to ${method}` };
  }
  return { values: at(said, 'returnval') };
}

function faultIn(fault: XmlElement): Fault {
  const message = textAt(fault, 'faultstring') ?? '';
  const [detail] = at(fault, 'detail')[0]?.children ?? [];
  if (detail === undefined) return { type: 'RuntimeFault', message, detail: fault };
  const type = typeOf(detail) ?? detail.name.replace(/Fault$/, '');
  return { type, message, detail };
}

/** Fault inside an answer (`LocalizedMethodFault`), such as of a task or check. */
export function localizedFault(element: XmlElement): Fault {
  const [detail] = at(element, 'fault');
  const message = textAt(element, 'localizedMessage') ?? '';
  if (detail === undefined) return { type: 'MethodFault', message, detail: element };
  return { type: typeOf(detail) ?? 'MethodFault', message, detail };
}

/** Declared concrete type of an element with an open schema type. */
export function typeOf({ attributes }: XmlElement): string | undefined {
  const type = attributes['xsi:type'];
  return type === undefined ? undefined : type.slice(type.lastIndexOf(':') + 1, 256);
}

/** Object reference of an element; undefined if it is not one. */
export function refIn(element: XmlElement | undefined): Ref | undefined {
  const type = element?.attributes['type'];
  if (element === undefined || type === undefined) return undefined;
  if (!REF_PART.test(type) || !REF_PART.test(element.text)) return undefined;
  return { type, value: element.text };
}

export function sameRef(left: Ref | undefined, right: Ref | undefined): boolean {
  return left !== undefined && left.type === right?.type && left.value === right.value;
}

export interface ObjectContent {
  readonly ref: Ref;
  readonly properties: ReadonlyMap<string, XmlElement>;
}

export function objectsIn(result: XmlElement): ObjectContent[] {
  return at(result, 'objects').flatMap((object) => {
    const found = refIn(at(object, 'obj')[0]);
    if (found === undefined) return [];
    return [{ ref: found, properties: propertiesIn(at(object, 'propSet')) }];
  });
}

export interface Change extends ObjectContent {
  readonly kind: 'enter' | 'modify' | 'leave';
}

/** Result of WaitForUpdatesEx. */
export interface Updates {
  readonly version: string;
  readonly isTruncated: boolean;
  readonly changes: readonly Change[];
}

export function updatesIn(set: XmlElement): Updates {
  const changes = at(set, 'filterSet', 'objectSet').flatMap((object): Change[] => {
    const found = refIn(at(object, 'obj')[0]);
    const kind = textAt(object, 'kind');
    if (found === undefined) return [];
    if (kind !== 'enter' && kind !== 'modify' && kind !== 'leave') return [];
    return [{ ref: found, kind, properties: propertiesIn(at(object, 'changeSet')) }];
  });
  const isTruncated = textAt(set, 'truncated') === 'true';
  return { version: textAt(set, 'version') ?? '', isTruncated, changes };
}

function propertiesIn(list: readonly XmlElement[]): Map<string, XmlElement> {
  return new Map(
    list.flatMap((each): [string, XmlElement][] => {
      const name = textAt(each, 'name');
      if (name === undefined) return [];
      const [value] = at(each, 'val');
      return [[name, value ?? NOTHING]];
    }),
  );
}

/** Value of a removed property. */
const NOTHING: XmlElement = { name: 'val', attributes: {}, children: [], text: '' };
