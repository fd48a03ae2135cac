import { z } from 'zod';

/** `drivers.libvirt` of the configuration; it is there, if empty, where this host's guests are libvirt's. */
export const libvirtOptions = z.strictObject({
  /** This host's daemon; by default its unix socket, of libvirtd or of virtqemud. */
  uri: z.string().min(1).max(256).optional(),
  /** How this host's daemon and Godwit reach that of another: {host} is its name. */
  peers: z.string().min(1).max(256).default('qemu+tls://{host}/system'),
  /** The same for single hosts, by name. */
  hosts: z
    .record(
      z.string().max(63),
      z.strictObject({
        uri: z.string().min(1).max(256).optional(),
        /** Where its QEMU takes memory, tcp://ADDRESS; by default as its daemon says. */
        migrateUri: z.string().min(1).max(256).optional(),
      }),
    )
    .default({}),
  /** Memory is encrypted by QEMU, with the certificates that libvirt has for it. */
  tls: z.boolean().default(true),
  /** Where memory that takes the wire enters and leaves this host. */
  sockets: z
    .strictObject({
      /** As libvirt names it; QEMU's user may make sockets there. The same on all hosts. */
      directory: z.string().startsWith('/').max(64).default('/var/lib/libvirt/qemu'),
      /** The same directory as Godwit finds it, where it runs in other mounts. */
      seenAt: z.string().startsWith('/').max(80).optional(),
    })
    .prefault({}),
  /** A hook of libvirt on every host sets on the ports of guests what their XML cannot carry. */
  portHook: z.boolean().default(false),
  /** What Godwit shows a daemon that it reaches by TLS: as libvirt's own clients have it. */
  credentials: z
    .strictObject({
      ca: z.string().max(4096).default('/etc/pki/CA/cacert.pem'),
      cert: z.string().max(4096).default('/etc/pki/libvirt/clientcert.pem'),
      key: z.string().max(4096).default('/etc/pki/libvirt/private/clientkey.pem'),
      /** Users and passwords for daemons that want a login by SASL. */
      auth: z.string().max(4096).default('/etc/libvirt/auth.conf'),
    })
    .prefault({}),
});
export type LibvirtOptions = z.infer<typeof libvirtOptions>;

/** The URI of another host's daemon. */
export function uriOf({ peers, hosts }: LibvirtOptions, host: string): string {
  return hosts[host]?.uri ?? peers.replaceAll('{host}', host);
}
