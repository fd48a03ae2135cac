/**
 * WS-Management, written from documents: [MS-WSMV] 3.1.4 (Create, Command, Receive, Signal, Delete; faults of 2.2.4.43),
 * DSP0226 (Enumerate, Pull) and DSP0227 (methods).
 */
import { randomUUID } from 'node:crypto';
import { XMLParser } from 'fast-xml-parser';
import { answerScript, readScript } from './script-answers.ts';
import type { FakeJob, HypervWorld } from './world.ts';

const SHELL = 'http://schemas.microsoft.com/wbem/wsman/1/windows/shell';
const WMI = 'http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2';
const EMPTY_CLIXML =
  '#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"></Objs>';

export interface ParsedRequest {
  readonly action: string;
  readonly resource: string;
  readonly messageId: string;
  readonly selectors: Map<string, string>;
  readonly body: Record<string, unknown>;
}

const parser = new XMLParser({
  ignoreAttributes: false,
  removeNSPrefix: true,
  parseTagValue: false,
});

export function parse(text: string): ParsedRequest {
  const { Envelope } = parser.parse(text) as {
    Envelope: { Header: Record<string, unknown>; Body: Record<string, unknown> | '' };
  };
  const { Header, Body } = Envelope;
  const word = (name: string): string => wordOf(Header[name]);
  const set = (Header['SelectorSet'] ?? {}) as { Selector?: unknown };
  const selectors = [set.Selector ?? []].flat() as Record<string, string>[];
  return {
    action: word('Action'),
    resource: word('ResourceURI'),
    messageId: word('MessageID'),
    selectors: new Map(selectors.map((each) => [each['@_Name'] ?? '', each['#text'] ?? ''])),
    body: Body === '' ? {} : Body,
  };
}

function wordOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const inner = (value as Record<string, unknown> | undefined)?.['#text'];
  return typeof inner === 'string' ? inner : '';
}

/** Shells, commands and enumerations of one host. */
export class Commands {
  readonly #world: HypervWorld;
  readonly #host: string;
  readonly #shells = new Map<string, Map<string, Buffer>>();
  readonly #left = new Map<string, string[]>();

  constructor(world: HypervWorld, host: string) {
    this.#world = world;
    this.#host = host;
  }

  answer(asked: ParsedRequest): [number, string] {
    const verb = asked.action.split('/').at(-1) ?? '';
    if (verb === 'Enumerate') return this.#enumerate(asked);
    if (verb === 'Pull') return this.#pull(asked);
    if (verb === 'RequestStateChange') return this.#requestStateChange(asked);
    if (verb === 'Create') return this.#create();
    const shell = this.#shells.get(asked.selectors.get('ShellId') ?? '');
    // ERROR_WSMAN_INVALID_SELECTORS
    if (shell === undefined) return fault('w:InvalidSelectors', '2150858843', 'No such shell.');
    switch (verb) {
      case 'Command':
        return this.#command(shell, asked);
      case 'Receive':
        return receive(shell, asked);
      case 'Signal':
        return [200, `<rsp:SignalResponse/>`];
      case 'Delete':
        this.#shells.delete(asked.selectors.get('ShellId') ?? '');
        return [200, ''];
      default:
        return fault('w:ActionNotSupported', '2150858751', 'The action is not supported.');
    }
  }

  #create(): [number, string] {
    const id = randomUUID().toUpperCase();
    this.#shells.set(id, new Map());
    return [
      200,
      `<x:ResourceCreated xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer"><a:Address>anonymous</a:Address><a:ReferenceParameters><w:ResourceURI>${SHELL}/cmd</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">${id}</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated><rsp:Shell><rsp:ShellId>${id}</rsp:ShellId></rsp:Shell>`,
    ];
  }

  #command(shell: Map<string, Buffer>, { body }: ParsedRequest): [number, string] {
    const line = body['CommandLine'] as { Command: string; Arguments: string[] };
    const id = randomUUID().toUpperCase();
    const encoded = line.Arguments[line.Arguments.indexOf('-EncodedCommand') + 1] ?? '';
    const script = readScript(Buffer.from(encoded, 'base64').toString('utf16le'));
    const said =
      line.Command === 'powershell.exe' && script !== undefined
        ? answerScript(this.#world, this.#host, script.name, script.given)
        : {};
    const json = Buffer.from(JSON.stringify(said)).toString('base64');
    shell.set(id, Buffer.from(json));
    return [200, `<rsp:CommandResponse><rsp:CommandId>${id}</rsp:CommandId></rsp:CommandResponse>`];
  }

  /** The first half of what is found comes at once, the rest by Pull. */
  #enumerate({ body }: ParsedRequest): [number, string] {
    const asked = body['Enumerate'] as { Filter: unknown };
    const items = this.#found(wordOf(asked.Filter));
    const context = randomUUID();
    const now = items.splice(0, Math.ceil(items.length / 2));
    const isEnd = items.length === 0;
    if (!isEnd) this.#left.set(context, items);
    const rest = isEnd
      ? '<n:EnumerationContext/><w:EndOfSequence/>'
      : `<n:EnumerationContext>${context}</n:EnumerationContext>`;
    return [
      200,
      `<n:EnumerateResponse>${rest}<w:Items>${now.join('')}</w:Items></n:EnumerateResponse>`,
    ];
  }

  #pull({ body }: ParsedRequest): [number, string] {
    const asked = body['Pull'] as { EnumerationContext: unknown };
    const items = this.#left.get(wordOf(asked.EnumerationContext));
    if (items === undefined) {
      return fault('n:InvalidEnumerationContext', '2150858775', 'The context is not valid.');
    }
    return [
      200,
      `<n:PullResponse><n:Items>${items.join('')}</n:Items><n:EndOfSequence/></n:PullResponse>`,
    ];
  }

  #found(wql: string): string[] {
    this.#world.turn();
    const parts = /^SELECT \* FROM (\w+) WHERE (\w+)='([^']*)'/.exec(wql);
    const [, name = '', , key = ''] = parts ?? [];
    const machines = this.#world.on(this.#host).filter(({ id }) => id.toUpperCase() === key);
    switch (name) {
      case 'Msvm_MigrationJob':
        return this.#world.jobs
          .filter((job) => job.machine === key && job.from === this.#host)
          .map((job) => jobXml(this.#world, job));
      case 'Msvm_ComputerSystem':
        return machines.map(({ id, name: called, state }) =>
          instance(name, [
            ['ElementName', called],
            ['EnabledState', { Running: '2', Off: '3', Paused: '9' }[state]],
            ['Name', id.toUpperCase()],
          ]),
        );
      case 'Msvm_VirtualSystemSettingData':
        return machines.map(({ notes }) =>
          instance(
            name,
            notes.split('\n').map((line): [string, string] => ['Notes', line]),
          ),
        );
      default:
        return [];
    }
  }

  #requestStateChange({ selectors, body }: ParsedRequest): [number, string] {
    const input = body['RequestStateChange_INPUT'] as { RequestedState: string };
    const isEnded =
      input.RequestedState === '4' && this.#world.terminate(selectors.get('InstanceID') ?? '');
    const uri = `${WMI}/Msvm_MigrationJob`;
    return [
      200,
      `<p:RequestStateChange_OUTPUT xmlns:p="${uri}"><p:ReturnValue>${isEnded ? 0 : 32_775}</p:ReturnValue></p:RequestStateChange_OUTPUT>`,
    ];
  }
}

/** Two parts, so that whoever reads has to put them together. */
function receive(shell: Map<string, Buffer>, { body }: ParsedRequest): [number, string] {
  const { DesiredStream } = body['Receive'] as { DesiredStream: Record<string, string> };
  const id = DesiredStream['@_CommandId'] ?? '';
  const left = shell.get(id) ?? Buffer.alloc(0);
  const now = left.subarray(0, Math.ceil(left.length / 2));
  const rest = left.subarray(now.length);
  shell.set(id, rest);
  const isDone = rest.length === 0;
  const errors = isDone
    ? `<rsp:Stream Name="stderr" CommandId="${id}">${Buffer.from(EMPTY_CLIXML).toString('base64')}</rsp:Stream>`
    : '';
  const state = isDone ? 'Done' : 'Running';
  const code = isDone ? '<rsp:ExitCode>0</rsp:ExitCode>' : '';
  return [
    200,
    `<rsp:ReceiveResponse><rsp:Stream Name="stdout" CommandId="${id}">${now.toString('base64')}</rsp:Stream>${errors}<rsp:CommandState CommandId="${id}" State="${SHELL}/CommandState/${state}">${code}</rsp:CommandState></rsp:ReceiveResponse>`,
  ];
}

function jobXml(world: HypervWorld, job: FakeJob): string {
  const moment = `<cim:Datetime xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common">${new Date(job.beganMs).toISOString()}</cim:Datetime>`;
  return instance('Msvm_MigrationJob', [
    ['Cancellable', 'true'],
    ['DestinationHost', job.to],
    ['ErrorCode', job.error === '' ? '0' : '32768'],
    ['ErrorDescription', job.error],
    ['InstanceID', job.id],
    ['JobState', String(job.state)],
    ['PercentComplete', String(world.percent(job))],
    ['TimeSubmitted', moment],
    ['VirtualSystemName', job.machine],
  ]);
}

function instance(name: string, properties: [string, string][]): string {
  const all = properties.map(([key, value]) => {
    const words = value.startsWith('<cim:') ? value : escaped(value);
    return value === '' ? `<p:${key} xsi:nil="true"/>` : `<p:${key}>${words}</p:${key}>`;
  });
  return `<p:${name} xmlns:p="${WMI}/${name}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">${all.join('')}</p:${name}>`;
}

export function fault(subcode: string, code: string, reason: string): [number, string] {
  return [
    500,
    `<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>${subcode}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">${escaped(reason)}</s:Text></s:Reason><s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="${code}" Machine="hv"><f:Message>${escaped(reason)}</f:Message></f:WSManFault></s:Detail></s:Fault>`,
  ];
}

export function whole({ action, messageId }: ParsedRequest, body: string): string {
  return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:rsp="${SHELL}"><s:Header><a:Action>${action}Response</a:Action><a:MessageID>uuid:${randomUUID()}</a:MessageID><a:RelatesTo>${messageId}</a:RelatesTo></s:Header><s:Body>${body}</s:Body></s:Envelope>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
