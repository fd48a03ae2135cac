import { godwitError, type GodwitError } from '../../errors.ts';
import { textAt, type XmlElement } from '../../formats/xml.ts';
import type { Vcenter } from './options.ts';
import { readPassword } from '../../system/files/password-file.ts';
import {
  envelope,
  group,
  objectsIn,
  parseAnswer,
  propSet,
  READS,
  ref,
  refIn,
  text,
  throughView,
  updatesIn,
  type Fault,
  type Part,
  type Ref,
  type ObjectContent,
  type Updates,
} from './soap.ts';
import { Transport, type TransportOptions, type ShownCertificate } from './transport.ts';

const SERVICE: Ref = { type: 'ServiceInstance', value: 'ServiceInstance' };
/** Limit of objects and pages in one answer, and of objects per page. */
const MAX = 100_000;
const PAGE = 500;

/** vSphere understood the call and refused it. */
export class VsphereFault extends Error {
  override readonly name = 'VsphereFault';
  readonly fault: Fault;

  constructor(method: string, fault: Fault) {
    super(`${method}: ${fault.message === '' ? fault.type : `${fault.message} (${fault.type})`}`);
    this.fault = fault;
  }
}

export interface PropertyRequest {
  readonly ref: Ref;
  readonly properties: readonly string[];
}

/** Session with one vCenter; logs in again if the vCenter ended it. */
export class VsphereClient {
  readonly about: About;
  readonly content: Content;
  readonly #options: Vcenter;
  readonly #transport: Transport;
  #entering: Promise<void> | undefined;
  /** vCenter's name of the session; empty before the login. */
  session = '';

  private constructor(
    options: Vcenter,
    transport: Transport,
    { about, content }: { readonly about: About; readonly content: Content },
  ) {
    this.#options = options;
    this.#transport = transport;
    this.about = about;
    this.content = content;
  }

  /**
   * Connects and logs in. Throws GODWIT_UNREACHABLE, GODWIT_MANAGER_VERSION if it is not a known vCenter
   * (without a login), GODWIT_MANAGER_DENIED for a wrong login, and GODWIT_CONFIG for a password file that
   * others may read. `callMs`: time limit of each call; absent: only its signal.
   */
  static async open(
    options: Vcenter & Pick<TransportOptions, 'section'>,
    signal: AbortSignal,
    callMs?: number,
  ): Promise<VsphereClient> {
    const transport = await Transport.open(options, callMs);
    try {
      const asked = { method: 'RetrieveServiceContent', self: SERVICE, parts: [] };
      const [found] = await exchange(transport, asked, signal);
      const client = new VsphereClient(options, transport, serviceIn(found, options));
      await client.#enter(signal);
      return client;
    } catch (thrown) {
      transport.close();
      throw thrown;
    }
  }

  get certificate(): ShownCertificate | undefined {
    return this.#transport.certificate;
  }

  /** Sends one call. If the vCenter no longer has the session, the call had no effect and is repeated after a login. */
  async call(
    method: string,
    self: Ref,
    parts: readonly Part[],
    signal: AbortSignal,
    waitsMs = 0,
  ): Promise<readonly XmlElement[]> {
    const asked = { method, self, parts, waitsMs };
    try {
      return await exchange(this.#transport, asked, signal);
    } catch (thrown) {
      if (!isFault(thrown, 'NotAuthenticated')) throw thrown;
    }
    this.#entering ??= this.#enter(signal).finally(() => {
      this.#entering = undefined;
    });
    await this.#entering;
    return exchange(this.#transport, asked, signal);
  }

  /** Call that returns an object, such as a task or a view. */
  async callForRef(
    method: string,
    self: Ref,
    parts: readonly Part[],
    signal: AbortSignal,
  ): Promise<Ref> {
    const [value] = await this.call(method, self, parts, signal);
    const found = refIn(value);
    if (found === undefined) throw this.#transport.unreachable(`${method} names no object`);
    return found;
  }

  /** Existing objects with those of the properties that they have. */
  async retrieve(
    wanted: readonly PropertyRequest[],
    signal: AbortSignal,
  ): Promise<ObjectContent[]> {
    if (wanted.length === 0) return [];
    const sets = wanted.map(({ ref: object, properties }) =>
      group('specSet', [
        propSet(object.type, properties),
        text('reportMissingObjectsInResults', true),
        group('objectSet', [ref('obj', object)]),
      ]),
    );
    return this.#pages(sets, signal);
  }

  /** All objects of a type below the root, through a temporary view. */
  async all(
    type: string,
    properties: readonly string[],
    signal: AbortSignal,
  ): Promise<ObjectContent[]> {
    const view = await this.view([type], signal);
    try {
      const set = group('specSet', [propSet(type, properties), throughView(view)]);
      return await this.#pages([set], signal);
    } finally {
      await this.call('DestroyView', view, [], signal).catch(() => undefined);
    }
  }

  async #pages(sets: readonly Part[], signal: AbortSignal): Promise<ObjectContent[]> {
    const collector = this.content.propertyCollector;
    const options = group('options', [text('maxObjects', PAGE)]);
    let [page] = await this.call('RetrievePropertiesEx', collector, [...sets, options], signal);
    const found: ObjectContent[] = [];
    for (let pages = 0; page !== undefined; pages += 1) {
      for (const object of objectsIn(page)) found.push(object);
      const token = textAt(page, 'token');
      if (token === undefined || token === '') return found;
      if (found.length + pages > MAX) throw this.unreachable('its list has no end');
      const next = [text('token', token)];
      [page] = await this.call('ContinueRetrievePropertiesEx', collector, next, signal);
    }
    return found;
  }

  /** Server-side view of all objects of these types below the root. */
  view(types: readonly string[], signal: AbortSignal): Promise<Ref> {
    const { viewManager, rootFolder } = this.content;
    const parts = [
      ref('container', rootFolder),
      ...types.map((type) => text('type', type)),
      text('recursive', true),
    ];
    return this.callForRef('CreateContainerView', viewManager, parts, signal);
  }

  /** Separate property collector for the objects of a view. */
  follow(
    view: Ref,
    properties: Readonly<Record<string, readonly string[]>>,
    signal: AbortSignal,
  ): Promise<Ref> {
    const sets = Object.entries(properties).map(([type, names]) => propSet(type, names));
    return this.#filter([...sets, throughView(view)], signal);
  }

  followOne(object: Ref, properties: readonly string[], signal: AbortSignal): Promise<Ref> {
    const set = group('objectSet', [ref('obj', object)]);
    return this.#filter([propSet(object.type, properties), set], signal);
  }

  async #filter(parts: readonly Part[], signal: AbortSignal): Promise<Ref> {
    const { propertyCollector } = this.content;
    const made = await this.callForRef('CreatePropertyCollector', propertyCollector, [], signal);
    const spec = [group('spec', parts), text('partialUpdates', false)];
    try {
      await this.callForRef('CreateFilter', made, spec, signal);
    } catch (thrown) {
      await this.unfollow(made, signal);
      throw thrown;
    }
    return made;
  }

  /** Destroys a collector, which ends its waits. */
  async unfollow(collector: Ref, signal: AbortSignal): Promise<void> {
    await this.call('DestroyPropertyCollector', collector, [], signal).catch(() => undefined);
  }

  /** Changes since a version; undefined if there are none. Waits up to `maxWaitSeconds`, 0 for no wait. */
  async updates(
    collector: Ref,
    version: string,
    maxWaitSeconds: number,
    signal: AbortSignal,
  ): Promise<Updates | undefined> {
    const options = group('options', [
      text('maxWaitSeconds', maxWaitSeconds),
      text('maxObjectUpdates', PAGE),
    ]);
    const parts = [text('version', version), options];
    const waitsMs = maxWaitSeconds * 1000;
    const [set] = await this.call('WaitForUpdatesEx', collector, parts, signal, waitsMs);
    return set === undefined ? undefined : updatesIn(set);
  }

  async close(): Promise<void> {
    const { sessionManager } = this.content;
    const signal = AbortSignal.timeout(2000);
    const asked = { method: 'Logout', self: sessionManager, parts: [] };
    await exchange(this.#transport, asked, signal).catch(() => undefined);
    this.#transport.close();
  }

  unreachable(reason: string): GodwitError {
    return this.#transport.unreachable(reason);
  }

  async #enter(signal: AbortSignal): Promise<void> {
    const { user, passwordFile, url } = this.#options;
    const password = await readPassword(passwordFile);
    this.#transport.forgetSession();
    const parts = [text('userName', user), text('password', password)];
    try {
      const { sessionManager } = this.content;
      const asked = { method: 'Login', self: sessionManager, parts };
      const [said] = await exchange(this.#transport, asked, signal);
      this.session = (said === undefined ? undefined : textAt(said, 'key')) ?? '';
    } catch (thrown) {
      if (!(thrown instanceof VsphereFault)) throw thrown;
      const facts = {
        manager: 'vSphere',
        address: new URL(url).host,
        what: `a login as ${user}`,
        reason: thrown.fault.type,
      };
      throw godwitError('GODWIT_MANAGER_DENIED', facts, { cause: thrown });
    }
  }
}

export function isFault(thrown: unknown, ...types: readonly string[]): thrown is VsphereFault {
  return thrown instanceof VsphereFault && types.includes(thrown.fault.type);
}

interface Call {
  readonly method: string;
  readonly self: Ref;
  readonly parts: readonly Part[];
  /** Time that the call waits for a change, ms. */
  readonly waitsMs?: number;
}

async function exchange(
  transport: Transport,
  { method, self, parts, waitsMs = 0 }: Call,
  signal: AbortSignal,
): Promise<readonly XmlElement[]> {
  const kind = { method, waitsMs, reads: READS.has(method) };
  const { status, body } = await transport.post(envelope(method, self, parts), kind, signal);
  if (status !== 200 && status !== 500) throw transport.unreachable(`HTTP ${status} to ${method}`);
  const answer = parseAnswer(method, body);
  if ('garbage' in answer) throw transport.unreachable(`HTTP ${status}: ${answer.garbage}`);
  if ('fault' in answer) throw new VsphereFault(method, answer.fault);
  return answer.values;
}

/** Identity of a vCenter. Pure. */
interface About {
  /** Such as VMware vCenter Server. */
  readonly product: string;
  /** API version, such as 8.0.2.0. */
  readonly version: string;
  /** Instance id for other vCenters; empty if not reported. */
  readonly instance: string;
}

interface Content {
  readonly rootFolder: Ref;
  readonly propertyCollector: Ref;
  readonly viewManager: Ref;
  readonly sessionManager: Ref;
  readonly customFieldsManager: Ref;
  readonly searchIndex: Ref;
  readonly authorizationManager: Ref;
  readonly vmProvisioningChecker: Ref;
}

/** API versions (major and minor) that this driver supports. */
const KNOWN = ['6.5', '6.7', '6.8', '6.9', '7.0', '8.0'];
const MAX_WORDS = 128;

/** Throws GODWIT_MANAGER_VERSION for another version, and for a single ESXi host. */
export function knownVersion(content: XmlElement | undefined, address: string): About {
  const said = (name: string): string =>
    (content === undefined ? undefined : textAt(content, 'about', name))?.slice(0, MAX_WORDS) ?? '';
  const [product, version, kind] = [said('name') || 'vSphere', said('apiVersion'), said('apiType')];
  const refuse = (what: string): Error =>
    godwitError('GODWIT_MANAGER_VERSION', { manager: product, address, what });
  if (kind !== 'VirtualCenter') {
    throw refuse(
      kind === 'HostAgent' ? 'it is an ESXi host, and no vCenter' : `it says ${kind || 'nothing'}`,
    );
  }
  const [major = '', minor = ''] = version.split('.');
  if (!KNOWN.includes(`${major}.${minor}`)) {
    throw refuse(`version ${version || 'none'}, not one of ${KNOWN.join(', ')}`);
  }
  return { product, version, instance: said('instanceUuid') };
}

/** Throws GODWIT_MANAGER_VERSION, even if only a required service object is missing. */
function serviceIn(
  found: XmlElement | undefined,
  { url }: Pick<Vcenter, 'url'>,
): { readonly about: About; readonly content: Content } {
  const address = new URL(url).host;
  const about = knownVersion(found, address);
  const at = (name: string): Ref => {
    const object = refIn(found?.children.find((child) => child.name === name));
    if (object !== undefined) return object;
    throw godwitError('GODWIT_MANAGER_VERSION', {
      manager: about.product,
      address,
      what: `it has no ${name}`,
    });
  };
  const content = {
    rootFolder: at('rootFolder'),
    propertyCollector: at('propertyCollector'),
    viewManager: at('viewManager'),
    sessionManager: at('sessionManager'),
    customFieldsManager: at('customFieldsManager'),
    searchIndex: at('searchIndex'),
    authorizationManager: at('authorizationManager'),
    vmProvisioningChecker: at('vmProvisioningChecker'),
  };
  return { about, content };
}
