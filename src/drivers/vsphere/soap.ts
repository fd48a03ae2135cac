import { at, escapeXml, parseXml, textAt, type XmlElement } from '../../formats/xml.ts';

/** SOAP as vSphere speaks it (vim25): calls are written, and answers read. Pure. */

/** An object of the vCenter, by its type and its id. */
export interface Ref {
  readonly type: string;
  readonly value: string;
}

/** A part of a call, already XML. Only the functions below make one: no text becomes XML by itself. */
declare const written: unique symbol;
export type Part = string & { readonly [written]: true };

/** Of one answer, characters. */
export const LONGEST_ANSWER = 64 * 1024 * 1024;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const REF_PART = /^[^\p{Cc}]{1,256}$/u;

export function text(name: string, value: string | number | boolean): Part {
  return element(name, escapeXml(String(value)));
}

export function ref(name: string, { type, value }: Ref): Part {
  return element(name, escapeXml(value), ` type="${escapeXml(type)}"`);
}

/** `xsiType` where the schema has an abstract type in that place. */
export function group(name: string, parts: readonly Part[], xsiType?: string): Part {
  const attributes = xsiType === undefined ? '' : ` xsi:type="${escapeXml(xsiType)}"`;
  return element(name, parts.join(''), attributes);
}

function element(name: string, inside: string, attributes = ''): Part {
  if (!NAME.test(name)) throw new Error(`${name} is no name of an element`);
  return `<${name}${attributes}>${inside}</${name}>` as Part;
}

/** Which properties a collector reads of objects of a type. */
export function propSet(type: string, properties: readonly string[]): Part {
  return group('propSet', [
    text('type', type),
    text('all', false),
    ...properties.map((each) => text('pathSet', each)),
  ]);
}

/** That it reads the objects of a view. */
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

/** Calls that change nothing: what one of them was sent twice for is read twice, or refused. */
export const READS: ReadonlySet<string> = new Set([
  'RetrieveServiceContent',
  'RetrievePropertiesEx',
  'ContinueRetrievePropertiesEx',
  'WaitForUpdatesEx',
  'CurrentTime',
  'FindByUuid',
]);

/** A refusal in vSphere's words. */
export interface Fault {
  /** Of the API: NotAuthenticated, InvalidState. */
  readonly type: string;
  readonly message: string;
  /** What the type says besides. */
  readonly detail: XmlElement;
}

export type Answer =
  | { readonly values: readonly XmlElement[] }
  | { readonly fault: Fault }
  /** It is none of vSphere's. */
  | { readonly garbage: string };

/** What a call's answer holds: each `returnval`, or the fault. */
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

/** A fault that lies in an answer (`LocalizedMethodFault`), as of a task or of a check. */
export function localizedFault(element: XmlElement): Fault {
  const [detail] = at(element, 'fault');
  const message = textAt(element, 'localizedMessage') ?? '';
  if (detail === undefined) return { type: 'MethodFault', message, detail: element };
  return { type: typeOf(detail) ?? 'MethodFault', message, detail };
}

/** The type that an element says it has, where the schema leaves it open. */
export function typeOf({ attributes }: XmlElement): string | undefined {
  const type = attributes['xsi:type'];
  return type === undefined ? undefined : type.slice(type.lastIndexOf(':') + 1, 256);
}

/** The object that an element names; undefined for what is none. */
export function refIn(element: XmlElement | undefined): Ref | undefined {
  const type = element?.attributes['type'];
  if (element === undefined || type === undefined) return undefined;
  if (!REF_PART.test(type) || !REF_PART.test(element.text)) return undefined;
  return { type, value: element.text };
}

export function sameRef(left: Ref | undefined, right: Ref | undefined): boolean {
  return left !== undefined && left.type === right?.type && left.value === right.value;
}

/** One object of an answer, with those of its properties that were asked for and that it has. */
export interface ObjectContent {
  readonly ref: Ref;
  readonly properties: ReadonlyMap<string, XmlElement>;
}

/** Of RetrievePropertiesEx: `objects` of a result. */
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

/** Of WaitForUpdatesEx. */
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

/** A property that has been taken away. */
const NOTHING: XmlElement = { name: 'val', attributes: {}, children: [], text: '' };
