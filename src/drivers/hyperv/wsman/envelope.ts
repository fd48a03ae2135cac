import { escapeXml } from '../../../formats/xml.ts';

/** WS-Management requests, by Microsoft's [MS-WSMV]. Pure. */

const SHELL = 'http://schemas.microsoft.com/wbem/wsman/1/windows/shell';
const COMMAND_SHELL = `${SHELL}/cmd`;
const WMI = 'http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2';
const ENUMERATION = 'http://schemas.xmlsoap.org/ws/2004/09/enumeration';
const TRANSFER = 'http://schemas.xmlsoap.org/ws/2004/09/transfer';
const ADDRESSING = 'http://schemas.xmlsoap.org/ws/2004/08/addressing';
const WSMAN = 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd';
const WQL = 'http://schemas.microsoft.com/wbem/wsman/1/WQL';
/** WinRM's default limit of an answer, bytes. */
const MAX_ENVELOPE = 512_000;
/** Instances per answer. */
const MAX_AT_ONCE = 50;

export interface WsmanRequest {
  readonly action: string;
  readonly resource: string;
  readonly selectors?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
  /** XML. */
  readonly body: string;
}

/** Server's time limit for one answer, s. */
export const OPERATION_S = 20;

export function envelope(
  { action, resource, selectors = {}, options = {}, body }: WsmanRequest,
  to: string,
  messageId: string,
): string {
  const namespaces = [
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope"',
    `xmlns:a="${ADDRESSING}"`,
    `xmlns:w="${WSMAN}"`,
    'xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"',
    `xmlns:n="${ENUMERATION}"`,
    `xmlns:rsp="${SHELL}"`,
  ];
  const must = 's:mustUnderstand="true"';
  const header = [
    `<a:To>${escapeXml(to)}</a:To>`,
    `<w:ResourceURI ${must}>${escapeXml(resource)}</w:ResourceURI>`,
    `<a:ReplyTo><a:Address ${must}>${ADDRESSING}/role/anonymous</a:Address></a:ReplyTo>`,
    `<a:Action ${must}>${escapeXml(action)}</a:Action>`,
    `<w:MaxEnvelopeSize ${must}>${MAX_ENVELOPE}</w:MaxEnvelopeSize>`,
    `<a:MessageID>uuid:${escapeXml(messageId)}</a:MessageID>`,
    '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>',
    '<p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>',
    set('SelectorSet', 'Selector', selectors),
    set('OptionSet', 'Option', options),
    `<w:OperationTimeout>PT${OPERATION_S}S</w:OperationTimeout>`,
  ];
  return `<?xml version="1.0" encoding="UTF-8"?><s:Envelope ${namespaces.join(' ')}><s:Header>${header.join('')}</s:Header><s:Body>${body}</s:Body></s:Envelope>`;
}

function set(outer: string, inner: string, words: Readonly<Record<string, string>>): string {
  const all = Object.entries(words).map(
    ([name, value]) => `<w:${inner} Name="${escapeXml(name)}">${escapeXml(value)}</w:${inner}>`,
  );
  return all.length === 0 ? '' : `<w:${outer}>${all.join('')}</w:${outer}>`;
}

/** Shell without a profile, with UTF-8 text. */
export function createShell(): WsmanRequest {
  return {
    action: `${TRANSFER}/Create`,
    resource: COMMAND_SHELL,
    options: { WINRS_NOPROFILE: 'TRUE', WINRS_CODEPAGE: '65001' },
    body: '<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>',
  };
}

/** Program started without a command interpreter. */
export function runCommand(shell: string, program: string, args: readonly string[]): WsmanRequest {
  const all = args.map((each) => `<rsp:Arguments>${escapeXml(each)}</rsp:Arguments>`).join('');
  return {
    ...inShell('Command', shell),
    options: { WINRS_CONSOLEMODE_STDIN: 'TRUE', WINRS_SKIP_CMD_SHELL: 'TRUE' },
    body: `<rsp:CommandLine><rsp:Command>${escapeXml(program)}</rsp:Command>${all}</rsp:CommandLine>`,
  };
}

export function receive(shell: string, command: string): WsmanRequest {
  return {
    ...inShell('Receive', shell),
    body: `<rsp:Receive><rsp:DesiredStream CommandId="${escapeXml(command)}">stdout stderr</rsp:DesiredStream></rsp:Receive>`,
  };
}

export function terminate(shell: string, command: string): WsmanRequest {
  return {
    ...inShell('Signal', shell),
    body: `<rsp:Signal CommandId="${escapeXml(command)}"><rsp:Code>${SHELL}/signal/terminate</rsp:Code></rsp:Signal>`,
  };
}

export function deleteShell(shell: string): WsmanRequest {
  const { resource, selectors } = inShell('Delete', shell);
  return { action: `${TRANSFER}/Delete`, resource, selectors, body: '' };
}

function inShell(
  verb: string,
  shell: string,
): Pick<WsmanRequest, 'action' | 'resource'> & { readonly selectors: Record<string, string> } {
  return { action: `${SHELL}/${verb}`, resource: COMMAND_SHELL, selectors: { ShellId: shell } };
}

export function enumerate(wql: string): WsmanRequest {
  return {
    action: `${ENUMERATION}/Enumerate`,
    resource: `${WMI}/*`,
    body: `<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>${MAX_AT_ONCE}</w:MaxElements><w:Filter Dialect="${WQL}">${escapeXml(wql)}</w:Filter></n:Enumerate>`,
  };
}

export function pull(context: string): WsmanRequest {
  return {
    action: `${ENUMERATION}/Pull`,
    resource: `${WMI}/*`,
    body: `<n:Pull><n:EnumerationContext>${escapeXml(context)}</n:EnumerationContext><n:MaxElements>${MAX_AT_ONCE}</n:MaxElements></n:Pull>`,
  };
}

export function invoke(
  { className, key }: { readonly className: string; readonly key: Record<string, string> },
  method: string,
  args: Readonly<Record<string, string>>,
): WsmanRequest {
  const resource = `${WMI}/${className}`;
  const all = Object.entries(args).map(
    ([name, value]) => `<i:${name}>${escapeXml(value)}</i:${name}>`,
  );
  return {
    action: `${resource}/${method}`,
    resource,
    selectors: key,
    body: `<i:${method}_INPUT xmlns:i="${resource}">${all.join('')}</i:${method}_INPUT>`,
  };
}
