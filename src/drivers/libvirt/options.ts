import { z } from 'zod';

/** Configuration `drivers.libvirt`, possibly empty; its presence enables libvirt's guests on this host. */
export const libvirtOptions = z.strictObject({
  /** This host's daemon; default: the unix socket of libvirtd or virtqemud. */
  uri: z.string().min(1).max(256).optional(),
  /** Address of another host's daemon, for this daemon and Godwit; {host} is its name. */
  peers: z.string().min(1).max(256).default('qemu+tls://{host}/system'),
  /** Exceptions by host name. */
  hosts: z
    .record(
      z.string().max(63),
      z.strictObject({
        uri: z.string().min(1).max(256).optional(),
        /** Address for QEMU's memory stream, tcp://ADDRESS; default: chosen by its daemon. */
        migrateUri: z.string().min(1).max(256).optional(),
      }),
    )
    .default({}),
  /** QEMU encrypts memory with libvirt's certificates. */
  tls: z.boolean().default(true),
  /** Sockets for memory through the wire. */
  sockets: z
    .strictObject({
      /** Path for libvirt, the same on all hosts; QEMU's user may create sockets there. */
      directory: z.string().startsWith('/').max(64).default('/var/lib/libvirt/qemu'),
      /** Path of the same directory for Godwit, if it runs in another mount namespace. */
      seenAt: z.string().startsWith('/').max(80).optional(),
    })
    .prefault({}),
  /** A libvirt hook on every host makes the port settings that the XML cannot contain. */
  portHook: z.boolean().default(false),
  /** Client credentials for TLS, with the defaults of libvirt's clients. */
  credentials: z
    .strictObject({
      ca: z.string().max(4096).default('/etc/pki/CA/cacert.pem'),
      cert: z.string().max(4096).default('/etc/pki/libvirt/clientcert.pem'),
      key: z.string().max(4096).default('/etc/pki/libvirt/private/clientkey.pem'),
      /** Users and passwords for daemons that require SASL. */
      auth: z.string().max(4096).default('/etc/libvirt/auth.conf'),
    })
    .prefault({}),
});
export type LibvirtOptions = z.infer<typeof libvirtOptions>;

export function uriOf({ peers, hosts }: LibvirtOptions, host: string): string {
  return hosts[host]?.uri ?? peers.replaceAll('{host}', host);
}
