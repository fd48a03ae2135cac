import { godwitError } from '../../errors.ts';
import { textAt, type XmlElement } from '../../formats/xml.ts';
import type { Vcenter } from './options.ts';
import { refIn, type Ref } from './soap.ts';

/** What a vCenter says it is. Pure. */
export interface About {
  /** For people: VMware vCenter Server. */
  readonly product: string;
  /** Of the API, as 8.0.2.0. */
  readonly version: string;
  /** By which other vCenters know it; empty where it does not say. */
  readonly instance: string;
}

/** The objects by which everything else is reached. */
export interface Content {
  readonly rootFolder: Ref;
  readonly propertyCollector: Ref;
  readonly viewManager: Ref;
  readonly sessionManager: Ref;
  readonly customFieldsManager: Ref;
  readonly searchIndex: Ref;
  readonly authorizationManager: Ref;
  readonly vmProvisioningChecker: Ref;
}

/** Major and minor numbers of the API, whose calls this driver knows. */
const KNOWN = ['6.5', '6.7', '6.8', '6.9', '7.0', '8.0'];
const MAX_WORDS = 128;

/** GODWIT_MANAGER_VERSION for another version, and for what is no vCenter (an ESXi host by itself). */
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

/** GODWIT_MANAGER_VERSION also where an object is missing that every call goes by. */
export function serviceIn(
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
