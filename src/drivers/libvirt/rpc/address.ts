import { godwitError } from '../../../errors.ts';

/** Where a libvirt daemon listens. */
export type LibvirtAddress =
  /** The first of these at which a daemon listens. */
  | { readonly kind: 'unix'; readonly paths: readonly string[]; readonly name: string }
  | {
      readonly kind: 'tcp' | 'tls';
      readonly host: string;
      readonly port: number;
      readonly name: string;
    };

const PORTS = { tcp: 16_509, tls: 16_514 } as const;
/** Of a host's only daemon, or of its QEMU part where it has one for each part. */
export const SOCKETS = ['/run/libvirt/libvirt-sock', '/run/libvirt/virtqemud-sock'] as const;

/**
 * The address in a libvirt URI: `qemu+tls://HOST/system`, `qemu+tcp://HOST:PORT/system`,
 * `qemu+unix:///system?socket=PATH`. `qemu://HOST/system` is TLS, as libvirt has it. GODWIT_CONFIG for other transports:
 * Godwit starts no ssh.
 */
export function addressOf(uri: string): LibvirtAddress {
  const { driver, transport, url } = partsOf(uri);
  const name = `${driver}://${url.pathname}`;
  if (transport === 'unix') {
    const socket = url.searchParams.get('socket');
    return { kind: 'unix', paths: socket === null ? SOCKETS : [socket], name };
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (host === '') throw wrong(uri, 'it names no host');
  const port = url.port === '' ? PORTS[transport] : Number(url.port);
  return { kind: transport, host, port, name };
}

function partsOf(uri: string): { driver: string; transport: 'unix' | 'tcp' | 'tls'; url: URL } {
  const [, driver = '', transport = '', rest = ''] =
    /^([a-z]{1,16})(?:\+([a-z0-9]{1,16}))?:\/\/(.*)$/.exec(uri) ?? [];
  // URL knows hosts and ports of schemes that it knows itself.
  const url = URL.parse(`http://${rest.startsWith('/') ? `none${rest}` : rest}`);
  if (url === null || driver === '') throw wrong(uri, 'it is no URI of libvirt');
  if (rest.startsWith('/')) {
    if (transport !== '' && transport !== 'unix') throw wrong(uri, 'it names no host');
    return { driver, transport: 'unix', url };
  }
  if (transport === '' || transport === 'tls') return { driver, transport: 'tls', url };
  if (transport === 'tcp') return { driver, transport, url };
  throw wrong(uri, `${transport} is none of unix, tcp and tls`);
}

function wrong(uri: string, why: string): Error {
  const what = `${uri.slice(0, 200)}: ${why}`;
  return godwitError('GODWIT_CONFIG', { file: 'drivers.libvirt', what });
}
