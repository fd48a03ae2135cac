import { godwitError } from '../../../errors.ts';

export type LibvirtAddress =
  /** The first socket with a listener is used. */
  | { readonly kind: 'unix'; readonly paths: readonly string[]; readonly name: string }
  | {
      readonly kind: 'tcp' | 'tls';
      readonly host: string;
      readonly port: number;
      readonly name: string;
    };

const PORTS = { tcp: 16_509, tls: 16_514 } as const;
/** Sockets of a host's single daemon, or of the separate QEMU daemon. */
export const SOCKETS = ['/run/libvirt/libvirt-sock', '/run/libvirt/virtqemud-sock'] as const;

/**
 * Address of a libvirt URI: `qemu+tls://HOST/system`, `qemu+tcp://HOST:PORT/system`,
 * `qemu+unix:///system?socket=PATH`. `qemu://HOST/system` is TLS, as in libvirt. Throws GODWIT_CONFIG for other
 * transports: Godwit does not start ssh.
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
  // URL parses hosts and ports only for schemes that it supports.
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
