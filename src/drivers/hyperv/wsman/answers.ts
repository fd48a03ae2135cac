import { at, parseXml, textAt as textIn, type XmlElement } from '../../../formats/xml.ts';

/** Parses WS-Management answers, by Microsoft's [MS-WSMV] and DMTF's DSP0226 and DSP0227. Pure. */

const DONE = '/CommandState/Done';
/** Operation timeout, such as of a command without new output. */
const TIMED_OUT = '2150858793';
const MAX_WORDS = 2000;

export class WsmanFault extends Error {
  override readonly name = 'WsmanFault';
  /** Code of WSManFault, decimal; empty if the server gives none. */
  readonly code: string;
  readonly subcode: string;

  constructor({ code, subcode, reason }: { code: string; subcode: string; reason: string }) {
    super(reason);
    this.code = code;
    this.subcode = subcode;
  }

  get isTimeout(): boolean {
    return this.code === TIMED_OUT || this.subcode.endsWith('TimedOut');
  }
}

function textAt(root: XmlElement, ...path: readonly string[]): string {
  return textIn(root, ...path) ?? '';
}

/** Body of an answer. Throws WsmanFault; undefined if it is not an answer. */
export function bodyOf(text: string): XmlElement | undefined {
  const root = parseXml(text);
  if (root?.name !== 'Envelope') return undefined;
  const [body] = at(root, 'Body');
  const [fault] = at(root, 'Body', 'Fault');
  if (fault !== undefined) throw faultOf(fault);
  return body;
}

function faultOf(fault: XmlElement): WsmanFault {
  const [detail] = at(fault, 'Detail', 'WSManFault');
  const subcode = textAt(fault, 'Code', 'Subcode', 'Value') || textAt(fault, 'Code', 'Value');
  const words = [
    textAt(fault, 'Reason', 'Text'),
    detail === undefined ? '' : deepText(detail),
  ].filter((each) => each !== '');
  const reason = [...new Set(words)].join(' ') || subcode || 'it does not say why';
  return new WsmanFault({
    code: detail?.attributes['Code'] ?? '',
    subcode,
    reason: reason.slice(0, MAX_WORDS),
  });
}

function deepText({ text, children }: XmlElement): string {
  return [text, ...children.map(deepText)]
    .filter((each) => each !== '')
    .join(' ')
    .slice(0, MAX_WORDS);
}

export function shellId(body: XmlElement): string | undefined {
  const selectors = at(body, 'ResourceCreated', 'ReferenceParameters', 'SelectorSet', 'Selector');
  const named = selectors.find(({ attributes }) => /^shellid$/i.test(attributes['Name'] ?? ''));
  return named?.text || textAt(body, 'Shell', 'ShellId') || undefined;
}

export function commandId(body: XmlElement): string | undefined {
  return textAt(body, 'CommandResponse', 'CommandId') || undefined;
}

export interface CommandOutput {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Exit code after its end. */
  readonly ended?: number;
}

export function received(body: XmlElement): CommandOutput {
  const streams = at(body, 'ReceiveResponse', 'Stream');
  const of = (name: string): Buffer =>
    Buffer.concat(
      streams
        .filter(({ attributes }) => attributes['Name'] === name)
        .map(({ text }) => Buffer.from(text, 'base64')),
    );
  const [state] = at(body, 'ReceiveResponse', 'CommandState');
  const isDone = state?.attributes['State']?.endsWith(DONE) ?? false;
  const code = state === undefined ? Number.NaN : Number.parseInt(textAt(state, 'ExitCode'), 10);
  const ended = Number.isSafeInteger(code) ? code : 0;
  return { stdout: of('stdout'), stderr: of('stderr'), ...(isDone ? { ended } : {}) };
}

export interface EnumerationPage {
  readonly items: readonly Instance[];
  /** Absent after the last one. */
  readonly context?: string;
}

/** Properties of an instance by name; null values are absent. */
export type Instance = Readonly<Record<string, readonly string[]>>;

export function enumerated(body: XmlElement): EnumerationPage {
  const answer = body.children.find(({ name }) =>
    ['EnumerateResponse', 'PullResponse'].includes(name),
  );
  if (answer === undefined) return { items: [] };
  const items = at(answer, 'Items').flatMap(({ children }) => children.map(instanceOf));
  const isEnd = at(answer, 'EndOfSequence').length > 0;
  const context = textAt(answer, 'EnumerationContext');
  return { items, ...(isEnd || context === '' ? {} : { context }) };
}

function instanceOf({ children }: XmlElement): Instance {
  const all = new Map<string, string[]>();
  for (const { name, attributes, text, children: inside } of children) {
    if (attributes['xsi:nil'] === 'true' || attributes['nil'] === 'true') continue;
    // A datetime is in a nested element.
    const value = inside.length === 1 ? (inside.at(0)?.text ?? '') : text;
    all.set(name, [...(all.get(name) ?? []), value]);
  }
  return Object.fromEntries(all);
}

/** Return value of a method; undefined if it is not its answer. */
export function returned(body: XmlElement, method: string): number | undefined {
  const value = textAt(body, `${method}_OUTPUT`, 'ReturnValue');
  return /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}
